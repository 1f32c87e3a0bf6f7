package main_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testpebble"
)

// movesAway has the registry serve by itself and by the proxy again, on one port.
func (p *proxiedRun) movesAway(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"none", p.kind} {
		p.change(t, "kind: ", "kind: "+kind+" # was ")
		p.must(t, "apply")
		if code := p.asked(t, "alice", firstPhrase); kind == p.kind && code != http.StatusOK {
			t.Errorf("alice, by %s: %d", kind, code)
		}
		alice := p.docker(t)
		if err := alice.login("alice", firstPhrase); err != nil {
			t.Fatal(err)
		}
		alice.pushes(t, "alice, by "+kind)
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
		p.neighbour(t)
	}
}

// TestFromNginxToApache moves a registry that is at work from the one to the other and
// back, on one port, and keeps the passwords asked for by whichever is in front.
func TestFromNginxToApache(t *testing.T) {
	nginx, apache := proxytest.Start(t, proxy.Nginx), proxytest.Start(t, proxy.Apache)
	before := tree(t, nginx.Root) + tree(t, apache.Root)
	p := &proxiedRun{run: newRun(t, build(t), "pxmove"), kind: "nginx", server: nginx}
	p.told(t, firstPhrase, "init", "--proxy", "nginx", "--host", "registry.test", "--port", p.port, "--runtime", "process",
		"--auth", "htpasswd", "--auth-at", "proxy", "--user", "alice", "--password-stdin")
	for _, kind := range []string{"nginx", "apache", "nginx"} {
		if kind != p.kind {
			p.change(t, "kind: "+p.kind, "kind: "+kind)
			p.kind = kind
			p.must(t, "apply")
		}
		if nobody, alice := p.asked(t, "", ""), p.asked(t, "alice", firstPhrase); nobody != http.StatusUnauthorized || alice != http.StatusOK {
			t.Errorf("%s: nobody %d, alice %d", kind, nobody, alice)
		}
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan behind %s:\n%s", kind, found)
		}
	}
	var status struct {
		Proxy struct{ Kind, AuthAt, Site string }
	}
	if err := json.Unmarshal([]byte(p.out(t, "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if got := status.Proxy; got.Kind != "nginx" || got.AuthAt != "proxy" || !strings.HasPrefix(got.Site, nginx.Root) {
		t.Errorf("status: %+v", got)
	}
	p.must(t, "destroy", "--yes")
	if after := tree(t, nginx.Root) + tree(t, apache.Root); after != before {
		t.Errorf("destroy left\n%s\nof\n%s", after, before)
	}
}

// TestACMEThroughProxy has a proxy that holds the port of http-01 answer a real ACME
// server: before there is a certificate, and for renewals.
func TestACMEThroughProxy(t *testing.T) {
	ca := testpebble.New(t, testpebble.Options{})
	bin := build(t)
	for _, kind := range []proxy.Kind{proxy.Nginx, proxy.Apache} {
		t.Run(string(kind), func(t *testing.T) {
			server := proxytest.New(t, kind)
			t.Setenv("PATH", server.Bin+":"+os.Getenv("PATH"))
			challenge := net.JoinHostPort(ca.Addr, strconv.Itoa(ca.HTTPPort))
			other := "server {\n\tlisten " + challenge + ";\n\tserver_name other.test;\n\treturn 200 other;\n}\n"
			if kind == proxy.Apache {
				other = "Listen " + challenge + "\n<VirtualHost " + challenge + ">\n\tServerName other.test\n\tRedirect 404 /\n</VirtualHost>\n"
			}
			server.Write(t, "sites-enabled/other.conf", other)
			server.Run(t)
			before := tree(t, server.Root)
			a := newACME(t, newRun(t, bin, "pxacme"), ca, "--proxy", string(kind), "--runtime", "process", "--challenge-addr", challenge)
			a.must(t, a.args...)
			first := a.leaf(t)
			a.must(t, "cert", "renew", "--force")
			if second := a.leaf(t); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
				t.Error("after a renewal the same certificate is served")
			}
			if left, err := os.ReadDir("/var/lib/regctl-acme/" + a.name); err != nil || len(left) > 0 {
				t.Errorf("answers are left: %v, %v", left, err)
			}
			if found := a.must(t, "plan"); !strings.Contains(found, "nothing to do") {
				t.Errorf("plan:\n%s", found)
			}
			a.must(t, "destroy", "--yes")
			if after := tree(t, server.Root); after != before {
				t.Errorf("destroy left\n%s\nof\n%s", after, before)
			}
			if _, err := os.Stat("/var/lib/regctl-acme/" + a.name); !os.IsNotExist(err) {
				t.Errorf("the folder of challenges is left: %v", err)
			}
		})
	}
}

// TestProxyRefuses demands that what cannot succeed behind nginx fails in words and
// leaves nothing.
func TestProxyRefuses(t *testing.T) {
	server := proxytest.Start(t, proxy.Nginx)
	bin := build(t)
	p := &proxiedRun{run: newRun(t, bin, "pxfails"), kind: "nginx", server: server}
	init := []string{"init", "--proxy", "nginx", "--host", "registry.test", "--port", p.port, "--runtime", "process"}
	nothing := func(what, words string, args ...string) {
		t.Helper()
		code, said := p.fails(t, args...)
		if code != 1 || !strings.Contains(said, words) || !strings.Contains(said, "hint: ") {
			t.Errorf("%s: exit status %d\n%s", what, code, said)
		}
		for _, path := range []string{p.dir, p.socketDir(), filepath.Join(server.Root, "sites-available", "regctl-"+p.name+".conf")} {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s: %s is left: %v", what, path, err)
			}
		}
	}
	server.Write(t, "sites-enabled/broken.conf", "server { nonsense; }\n")
	nothing("a broken neighbour", "broken.conf", init...)
	if err := os.Remove(filepath.Join(server.Root, "sites-enabled", "broken.conf")); err != nil {
		t.Fatal(err)
	}
	held, err := net.Listen("tcp", ":"+p.port)
	if err != nil {
		t.Fatal(err)
	}
	nothing("a port that is held", p.port, init...)
	_ = held.Close()
	p.neighbour(t)

	p.must(t, init...)
	server.Write(t, "sites-enabled/broken.conf", "server { nonsense; }\n")
	p.must(t, "stop") // which is no concern of nginx's
	if err := os.Remove(filepath.Join(server.Root, "sites-enabled", "broken.conf")); err != nil {
		t.Fatal(err)
	}
	var status struct {
		State string
		Proxy struct{ Running bool }
	}
	if err := json.Unmarshal([]byte(p.out(t, "status", "-o", "json")), &status); err != nil || status.State != "stopped" || !status.Proxy.Running {
		t.Errorf("status of a stopped registry: %+v, %v", status, err)
	}
	p.must(t, "start")
	p.must(t, "status", "--check")
	p.movesNowhere(t)
	other := &run{bin, p.name, filepath.Join(t.TempDir(), "reg"), p.port}
	if code, said := other.fails(t, init...); code != 1 || !strings.Contains(said, "another registry") {
		t.Errorf("a second registry of that name: exit status %d\n%s", code, said)
	}
	p.must(t, "status", "--check")
}

// movesNowhere wants the port that another program holds, by itself and by the proxy: both
// are refused, and the registry stays as it is.
func (p *proxiedRun) movesNowhere(t *testing.T) {
	t.Helper()
	held, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	port := strconv.Itoa(held.Addr().(*net.TCPAddr).Port)
	path := filepath.Join(p.dir, "regctl.yaml")
	was := read(t, path)
	p.change(t, "port: "+p.port, "port: "+port)
	if code, said := p.fails(t, "apply"); code != 1 || !strings.Contains(said, port) {
		t.Errorf("to a port that is held: exit status %d\n%s", code, said)
	}
	p.change(t, "kind: nginx", "kind: none")
	if code, said := p.fails(t, "apply"); code != 1 || !strings.Contains(said, port) {
		t.Errorf("without nginx to a port that is held: exit status %d\n%s", code, said)
	}
	if err := os.WriteFile(path, was, 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, "status", "--check")
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
}
