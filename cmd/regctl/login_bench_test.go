package main_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
)

// BenchmarkFirstLogin is user add, from its start, and the first login by it: on a
// registry of its own, and behind each proxy, whoever asks for the password. It reports
// what that takes beside one bcrypt.
func BenchmarkFirstLogin(b *testing.B) {
	testenv.Need(b, "root")
	bin := build(b)
	for _, placement := range []struct {
		name, proxy string
		args        []string
	}{
		{"direct", "", nil},
		{"nginx", "nginx", nil},
		{"nginx-asks", "nginx", []string{"--auth-at", "proxy"}},
		{"apache", "apache", nil},
		{"apache-asks", "apache", []string{"--auth-at", "proxy"}},
	} {
		b.Run(placement.name, func(b *testing.B) {
			r := newRun(b, bin, "login-"+placement.name)
			args := append([]string{
				"init", "--host", "127.0.0.1", "--port", r.port, "--runtime", "process",
				"--auth", "htpasswd", "--user", "alice", "--password-stdin",
			}, placement.args...)
			if placement.proxy != "" {
				proxytest.Start(b, proxy.Kind(placement.proxy))
				args = append(args, "--proxy", placement.proxy)
			}
			r.told(b, "alice-phrase", args...)
			c := r.authClient(b)
			c.status(b, "alice", "alice-phrase")
			n, whole := 0, time.Duration(0)
			for b.Loop() {
				user := fmt.Sprintf("user%d", n)
				began := time.Now()
				r.told(b, "user-phrase", "user", "add", user, "--password-stdin")
				if got := c.status(b, user, "user-phrase"); got != http.StatusOK {
					b.Fatalf("%s is answered %d", user, got)
				}
				whole += time.Since(began)
				n++
			}
			began := time.Now()
			if _, err := bcrypt.GenerateFromPassword([]byte("user-phrase"), htpasswd.DefaultCost); err != nil {
				b.Fatal(err)
			}
			one := time.Since(began)
			b.ReportMetric(float64(whole.Milliseconds())/float64(n)-float64(one.Milliseconds()), "ms-beside-bcrypt")
		})
	}
}
