package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledUser kills the user commands at random moments. Who is not meant comes in
// at every moment, and the same command again finishes.
func TestKilledUser(t *testing.T) {
	r := newRun(t, build(t), "killed-user")
	r.must(t, "init", "--host", "127.0.0.1", "--runtime", "process", "--port", r.port)
	start := time.Now()
	r.told(t, "keeper-phrase", "user", "add", "keeper", "--password-stdin")
	whole := time.Since(start)
	c := r.authClient(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	// The registry sees what a killed command changed when it next looks.
	comes := func(when, user, password string, want int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
			got := c.status(t, user, password)
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s is answered %d, want %d", when, user, got, want)
			}
		}
	}
	for range 5 {
		for _, change := range []struct {
			phrase string
			args   []string
			after  int
		}{
			{"victim-phrase", []string{"user", "add", "victim", "--password-stdin"}, http.StatusOK},
			{"other-phrase", []string{"user", "passwd", "victim", "--password-stdin"}, http.StatusOK},
			{"other-phrase", []string{"user", "remove", "victim", "--yes"}, http.StatusUnauthorized},
		} {
			command := strings.Join(change.args, " ")
			cmd := r.command(change.args...)
			cmd.Stdin = strings.NewReader(change.phrase + "\n")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			moment := time.Duration(rand.Int64N(int64(whole)))
			timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			timer.Stop()
			command += ", killed after " + moment.String()
			comes(command, "keeper", "keeper-phrase", http.StatusOK)
			r.told(t, change.phrase, change.args...)
			comes(command+" and run again", "victim", change.phrase, change.after)
			comes(command+" and run again", "keeper", "keeper-phrase", http.StatusOK)
			r.noHalfFile(t)
			if out := r.must(t, "plan"); !strings.Contains(out, "nothing to do") {
				t.Fatalf("%s: plan after it was run again:\n%s", command, out)
			}
		}
	}
}

// authClient asks a registry at 127.0.0.1 who is let in.
type authClient struct {
	url string
	http.Client
}

func (r *run) authClient(t testing.TB) *authClient {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, filepath.Join(r.dir, "certs", "ca.crt")))
	c := &authClient{url: "https://127.0.0.1:" + r.port + "/v2/"}
	c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (c *authClient) status(t testing.TB, user, password string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	answer, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
