package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
)

// backend stands where a registry would and is under the test's control.
func backend(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// refuser is an address where nobody answers: the test's own, at another port.
func refuser(i *proxytest.Instance) string { return strings.Replace(i.Addr, ":7443", ":7999", 1) }

func TestWhatTheRegistryIsTold(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		cert, key := ca.issue(t)
		seen := make(chan *http.Request, 1)
		echo := backend(t, func(w http.ResponseWriter, r *http.Request) {
			seen <- r
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			w.Header().Set("Location", "http://elsewhere.test/")
			w.WriteHeader(http.StatusTeapot)
		})
		_, err := install(t, kind, siteFor(i, cert, key, echo))
		must(t, err)
		for _, http2 := range []bool{false, true} {
			c := client(ca.cert, i.Addr, http2)
			host := name + ":7443"
			resp := ask(t, c, "GET", "https://"+host+"/v2/", nil, http.Header{
				"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Port": {"1"},
				"X-Forwarded-Proto": {"http"}, "Forwarded": {"host=evil.test"}, "Authorization": {"Basic dTpw"},
			}, http.StatusTeapot)
			if got := resp.Header.Get("Location"); got != "http://elsewhere.test/" {
				t.Errorf("the registry's Location became %q", got)
			}
			r := <-seen
			want := map[string]string{
				"X-Forwarded-Proto": "https", "X-Forwarded-Host": "", "X-Forwarded-Port": "", "Forwarded": "",
				"X-Real-Ip": "127.0.0.1", "Authorization": "Basic dTpw",
			}
			for key, value := range want {
				if got := r.Header.Get(key); got != value {
					t.Errorf("%s is %q, want %q", key, got, value)
				}
			}
			// Ours is the last; what a client says of itself stands before it.
			if got := strings.ReplaceAll(r.Header.Get("X-Forwarded-For"), " ", ""); got != "192.0.2.1,127.0.0.1" {
				t.Errorf("X-Forwarded-For is %q", got)
			}
			if r.Host != host || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
				t.Errorf("host %q over %s", r.Host, r.Proto)
			}
		}
	})
}

// A replica that is down, and one that says that it cannot, fail no request.
func TestDeadReplica(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		var asked, busy atomic.Int64
		body := bytes.Repeat([]byte("m"), 4<<20)
		well := backend(t, func(_ http.ResponseWriter, r *http.Request) {
			if data, err := io.ReadAll(r.Body); err == nil && (r.Method != http.MethodPut || bytes.Equal(data, body)) {
				asked.Add(1)
			}
		})
		unwell := backend(t, func(w http.ResponseWriter, _ *http.Request) {
			busy.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		replicas := []string{refuser(i), unwell, well}
		if kind == proxy.Apache { // it sends nothing again that was answered
			replicas = []string{refuser(i), well}
			busy.Store(1)
		}
		_, err := install(t, kind, siteFor(i, nil, nil, replicas...))
		must(t, err)
		c := client(nil, i.Addr, false)
		url := "http://" + name + ":7443/v2/some/app/"
		for range 6 {
			ask(t, c, "PUT", url+"manifests/latest", bytes.NewReader(body), nil, 200)
			ask(t, c, "GET", url+"blobs/sha256:1", nil, nil, 200)
			ask(t, c, "POST", url+"blobs/uploads/", nil, nil, 200)
		}
		if asked.Load() != 18 || busy.Load() == 0 {
			t.Errorf("the one that is well was asked %d times, the other %d times", asked.Load(), busy.Load())
		}
	})
}

func TestAuthAtProxy(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		cert, key := ca.issue(t)
		server, err := proxy.Find(t.Context(), kind)
		must(t, err)
		site := siteFor(i, cert, key, upstream(t, t.TempDir(), "tcp"))
		site.UsersFile = server.UsersPath(site.Name)
		writeUsers(t, server, site, "alice")
		_, err = install(t, kind, site)
		must(t, err)
		c := client(ca.cert, i.Addr, true)
		base := "https://" + name + ":7443"
		resp := ask(t, c, "GET", base+"/v2/", nil, nil, 401)
		if got := resp.Header.Get("WWW-Authenticate"); got != `Basic realm="Registry realm"` {
			t.Errorf("WWW-Authenticate is %q", got)
		}
		get := func(user, password string, want int) {
			t.Helper()
			ask(t, c, "GET", strings.Replace(base, "https://", "https://"+user+":"+password+"@", 1)+"/v2/", nil, nil, want)
		}
		get("alice", "wrong", 401)
		get("nobody", "secret", 401)
		get("alice", "secret", 200)
		writeUsers(t, server, site, "bob") // no reload
		get("bob", "secret", 200)
		get("alice", "secret", 401)
	})
}

// writeUsers keeps the file as the user commands do: whole, by a rename, and for the
// workers alone.
func writeUsers(t *testing.T, server proxy.Server, site proxy.Site, users ...string) {
	t.Helper()
	var text strings.Builder
	for _, user := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
		must(t, err)
		fmt.Fprintf(&text, "%s:%s\n", user, hash)
	}
	next := site.UsersFile + ".new"
	must(t, os.WriteFile(next, []byte(text.String()), 0o640))
	must(t, os.Chown(next, 0, server.GID))
	must(t, os.Rename(next, site.UsersFile))
}
