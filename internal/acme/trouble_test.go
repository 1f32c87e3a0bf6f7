package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testpebble"
)

// ca is a server that answers as it is told, over TLS.
func ca(t *testing.T, handler http.HandlerFunc) (Options, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	o := Options{
		Directory: server.URL + "/dir", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		Names: []string{"registry.test"}, AcceptTOS: true, Challenge: Challenge{Kind: HTTP01, Addr: "127.0.0.1:0"},
		wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	return o, &asked
}

// A CA that answers nonsense is asked a few times at most, and told of in one line.
func TestCAInTrouble(t *testing.T) {
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	problem := func(kind, detail string, status int) string {
		return fmt.Sprintf(`{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
	}
	for name, c := range map[string]struct {
		handler    http.HandlerFunc
		asked      int64
		text, hint string
	}{
		"rate limit":    {answer(429, "Retry-After: 3600", problem("rateLimited", "too many of it", 429)), 1, "too many of it (rateLimited)", "try again after 2"},
		"bare 429":      {answer(429, "", "slow down"), 1, "HTTP 429 Too Many Requests: slow down", "try again when the CA says so"},
		"500":           {answer(500, "", "<html>\n<h1>oops</h1>"), 3, "HTTP 500 Internal Server Error: <html> <h1>oops</h1>", "not you: try again in an hour"},
		"internal":      {answer(500, "", problem("serverInternal", "it broke", 500)), 3, "it broke (serverInternal)", "not you"},
		"500, null":     {answer(500, "", "null"), 3, "HTTP 500", "not you"},
		"503, later":    {answer(503, "Retry-After: 86400", "busy"), 1, "busy", "try again after 2"},
		"503, soon":     {answer(503, "Retry-After: 2", "busy"), 3, "busy", "try again after 2"},
		"404":           {answer(404, "", "no such page"), 1, "HTTP 404 Not Found: no such page", "--acme-server"},
		"HTML":          {answer(200, "", "<html>hello"), 1, "not JSON: <html>hello", "--acme-server"},
		"bytes":         {answer(200, "", "\x00\x01\x02\xff"), 1, "not JSON", "--acme-server"},
		"other JSON":    {answer(200, "", `{"a": 1}`), 1, "directory missing", "--acme-server"},
		"null":          {answer(200, "", "null"), 1, "directory missing", "--acme-server"},
		"nothing":       {answer(200, "", ""), 1, "", "--acme-server"},
		"endless":       {answer(200, "", strings.Repeat("[", maxAnswer+1)), 1, "more than 1048576 bytes", "--acme-server"},
		"hangs up":      {hangUp, 3, "does not answer", "curl -v"},
		"wrong content": {answer(200, "Content-Length: 100", "{"), 3, "does not answer", "curl -v"},
	} {
		t.Run(name, func(t *testing.T) {
			o, asked := ca(t, c.handler)
			r, err := Obtain(t.Context(), o)
			want(t, err, false, c.text, c.hint)
			if !strings.Contains(err.Error(), strings.TrimSuffix(strings.TrimPrefix(o.Directory, "https://"), "/dir")) {
				t.Errorf("which CA? %v", err)
			}
			if len(err.Error()) > 400 {
				t.Errorf("%d characters", len(err.Error()))
			}
			// Go itself asks again where a connection that it kept was closed.
			if got := asked.Load(); got < c.asked || got > 2*c.asked {
				t.Errorf("asked %d times", got)
			}
			if !r.Accounts.Empty() || r.KeyPEM != nil {
				t.Error("something came of it")
			}
			if due, err := Due(t.Context(), o, o.CA); err != nil || due.Source != FromLifetime || due.Fallback == nil {
				t.Errorf("due %+v %v", due, err)
			}
			if found := Preflight(t.Context(), o); len(found) == 0 || !found[0].Fatal {
				t.Errorf("preflight found %v", found)
			}
		})
	}
}

func TestSilentCA(t *testing.T) {
	release := make(chan struct{})
	o, _ := ca(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	o.Timeout = 50 * time.Millisecond
	var told story
	o.Say = told.say
	_, err := Obtain(t.Context(), o)
	if got := strings.Count(told.String(), "no answer within 50ms; trying again in "); got != attempts-1 {
		t.Errorf("told %d times: %s", got, &told)
	}
	want(t, err, false, "no answer within 50ms", "curl -v")
	// An end from above is told from the CA's silence.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o.Timeout = time.Hour
	if _, err = Obtain(ctx, o); err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Error(err)
	}
}

func TestUnreachableCA(t *testing.T) {
	o, _ := ca(t, func(http.ResponseWriter, *http.Request) {})
	trusted := o.CA
	o.CA = nil
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "signed by nobody whom this machine trusts", "--acme-ca FILE")
	o.CA = []byte("no certificate")
	_, err = Obtain(t.Context(), o)
	want(t, err, true, "--acme-ca", "PEM")

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	o.CA, o.Directory = trusted, "https://"+ln.Addr().String()+"/dir"
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "does not answer", "curl -v")
	o.Directory = "https://no-such-name.invalid/dir"
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "no-such-name.invalid: ", "--acme-server")
	for _, directory := range []string{"http://ca.test/dir", "ca.test", "https://", "://"} {
		o.Directory = directory
		_, err = Obtain(t.Context(), o)
		want(t, err, true, directory, "--acme-server")
	}
}

// faults stands between us and a CA, and spoils some answers.
type faults struct {
	mu    sync.Mutex
	spoil func(r *http.Request) (status int, body string)
}

func (f *faults) set(spoil func(r *http.Request) (int, string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spoil = spoil
}

func (f *faults) ask(r *http.Request) (int, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spoil == nil {
		return 0, ""
	}
	return f.spoil(r)
}

// between returns options that reach the server through faults.
func between(t *testing.T, s *testpebble.Server, names ...string) (Options, *faults) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	target := &url.URL{Scheme: "https", Host: host(s.Directory)}
	// The URLs that the CA makes, and signatures are for, have the host that it was asked by.
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
	}
	f := &faults{}
	o, _ := ca(t, func(w http.ResponseWriter, r *http.Request) {
		status, body := f.ask(r)
		if status == 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	real := by(s, names...)
	o.Names, o.Challenge, o.Email = real.Names, real.Challenge, real.Email
	o.wait = func(ctx context.Context, d time.Duration) error { return wait(ctx, min(d, 50*time.Millisecond)) }
	return o, f
}

// The CA breaks down at any one request of an order: with a 503 that passes it is
// done nevertheless, with one that stays, a rate limit or nonsense it fails, and the
// next try succeeds.
func TestCABreaksDownOnTheWay(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{RejectNonces: 5, ReuseAuthz: -1})
	o, f := between(t, s, "registry.test")
	var seen []string
	var mu sync.Mutex
	f.set(func(r *http.Request) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		if path := endpoint(r); len(seen) == 0 || seen[len(seen)-1] != path {
			seen = append(seen, path)
		}
		return 0, ""
	})
	r := obtain(t, o)
	o.Accounts = r.Accounts
	steps := map[string]bool{}
	for _, step := range seen {
		steps[step] = true
	}
	for _, step := range []string{"dir", "nonce-plz", "order-plz", "authZ", "chalZ", "finalize-order", "my-order", "certZ"} {
		if !steps[step] {
			t.Fatalf("no %s among %v", step, seen)
		}
		once := true
		f.set(func(r *http.Request) (int, string) {
			mu.Lock()
			defer mu.Unlock()
			if endpoint(r) != step || !once {
				return 0, ""
			}
			once = false
			return 503, "for a moment"
		})
		leafOf(t, obtain(t, o), s.Root(0), "registry.test")
		for status, hint := range map[int]string{429: "try again", 500: "not you", 200: "--acme-server"} {
			var asked atomic.Bool
			f.set(func(r *http.Request) (int, string) {
				if endpoint(r) == step {
					asked.Store(true)
					return status, "garbage at " + step
				}
				return 0, ""
			})
			text := "garbage at " + step
			switch {
			case step == "nonce-plz" && status == 200:
				continue // nobody reads a body there, and the next answer brings a nonce
			case step == "nonce-plz":
				text = "HTTP " + strconv.Itoa(status) // it is asked for the header alone
			}
			r, err := Obtain(t.Context(), o)
			for step == "chalZ" && !asked.Load() && err == nil { // told not to, Pebble uses one authorization of a hundred again
				r, err = Obtain(t.Context(), o)
			}
			want(t, err, false, text, hint)
			if r.KeyPEM != nil || r.Accounts.Reveal() != o.Accounts.Reveal() {
				t.Errorf("%s: something came of it", step)
			}
		}
	}
	f.set(nil)
	leafOf(t, obtain(t, o), s.Root(0), "registry.test")
}

// endpoint is what a Pebble's URL is for.
func endpoint(r *http.Request) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return path
}

// The CA sends a certificate for another key, or for other names.
func TestWrongCertificate(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	o, f := between(t, s, "registry.test")
	other := obtain(t, by(s, "registry.test"))
	f.set(func(r *http.Request) (int, string) {
		if endpoint(r) == "certZ" {
			return 200, string(bytes.Clone(other.FullchainPEM))
		}
		return 0, ""
	})
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "sent a certificate that cannot be used: the private key does not belong", "")
}
