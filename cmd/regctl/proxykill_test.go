package main_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
)

// TestKilledBehindProxy kills init, apply and destroy of a registry behind nginx: the
// same command again finishes, the neighbour's site is served all the while, and nothing
// stays in the end.
func TestKilledBehindProxy(t *testing.T) {
	server := proxytest.Start(t, proxy.Nginx)
	before := tree(t, server.Root)
	p := &proxiedRun{run: newRun(t, build(t), "pxkilled"), kind: "nginx", server: server}
	init := []string{"init", "--proxy", "nginx", "--host", "registry.test", "--port", p.port, "--runtime", "process"}
	start := time.Now()
	p.must(t, init...)
	whole := time.Since(start)
	gone := func(what string, moment time.Duration) {
		t.Helper()
		p.must(t, "destroy", "--yes")
		if after := tree(t, server.Root); after != before {
			t.Fatalf("%s killed after %v, then destroyed: left of nginx's files\n%s\nof\n%s", what, moment, after, before)
		}
		for _, path := range []string{p.dir, p.socketDir()} {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Fatalf("%s killed after %v: destroy left %s: %v", what, moment, path, err)
			}
		}
		p.neighbour(t)
	}
	gone("nothing", 0)
	for range 4 {
		moment := p.killedAt(t, whole, init...)
		p.must(t, init...)
		p.must(t, "status", "--check")
		p.noHalfFile(t)
		gone("init", moment)
	}
	p.told(t, firstPhrase, append(init, "--auth", "htpasswd", "--user", "alice", "--password-stdin")...)
	for i := range 4 {
		from, to := "kind: nginx", "authAt: proxy\n  kind: nginx"
		if i%2 == 1 {
			from, to = to, from
		}
		p.change(t, from, to)
		moment := p.killedAt(t, whole/2, "apply")
		if code := p.asked(t, "", ""); code == http.StatusOK {
			t.Fatalf("apply killed after %v: nobody asks for a password", moment)
		}
		p.must(t, "apply")
		if nobody, alice := p.asked(t, "", ""), p.asked(t, "alice", firstPhrase); nobody != http.StatusUnauthorized || alice != http.StatusOK {
			t.Fatalf("apply killed after %v: nobody %d, alice %d", moment, nobody, alice)
		}
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Fatalf("apply killed after %v: plan:\n%s", moment, found)
		}
		p.noHalfFile(t)
	}
	for range 2 {
		moment := p.killedAt(t, whole/2, "destroy", "--yes")
		gone("destroy", moment)
		p.must(t, init...)
	}
	gone("nothing", 0)
}
