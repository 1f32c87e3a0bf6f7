package proxy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
)

// A blob goes through as it comes: of a large one that is under way, up or down, the
// proxy has nothing in a file.
func TestBlobsAreStreamed(t *testing.T) {
	const size = 64 << 20
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		cert, key := ca.issue(t)
		// The registry stops in the middle until the test has looked.
		looked, middle := make(chan struct{}), make(chan struct{})
		store := backend(t, func(w http.ResponseWriter, r *http.Request) {
			from, to := io.LimitReader(zeros{}, size), io.Writer(w)
			if r.Method == http.MethodPatch {
				from, to = r.Body, io.Discard
			}
			half, err := io.CopyN(to, from, size/2)
			if err != nil {
				t.Errorf("%s: after %d bytes: %v", r.Method, half, err)
			}
			middle <- struct{}{}
			<-looked
			rest, err := io.Copy(to, from)
			if err != nil || half+rest != size {
				t.Errorf("%s: %d bytes: %v", r.Method, half+rest, err)
			}
		})
		_, err := install(t, kind, siteFor(i, cert, key, store))
		must(t, err)
		url := "https://" + name + ":7443/v2/some/app/blobs/uploads/1"
		for _, http2 := range []bool{false, true} {
			for _, method := range []string{"GET", "PATCH"} {
				done := make(chan int64, 1)
				go func() { done <- transfer(t, client(ca.cert, i.Addr, http2), method, url, size) }()
				select {
				case <-middle:
				case <-done:
					t.Fatalf("%s, HTTP/2 %v: it ended early", method, http2)
				}
				if held := i.Held(t); held > 1<<20 {
					t.Errorf("%s, HTTP/2 %v: the proxy has %d bytes in files", method, http2, held)
				}
				looked <- struct{}{}
				if got, want := <-done, map[string]int64{"GET": size, "PATCH": 0}[method]; got != want {
					t.Errorf("%s, HTTP/2 %v: %d bytes came, want %d", method, http2, got, want)
				}
			}
		}
	})
}

// transfer sends or gets size bytes and answers how many came.
func transfer(t *testing.T, c *http.Client, method, url string, size int64) int64 {
	var body io.Reader
	if method == "PATCH" {
		body = struct{ io.Reader }{io.LimitReader(zeros{}, size)}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Error(err)
		return -1
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Error(err)
		return -1
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", method, resp.Status, err)
	}
	return n
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// distribution takes no manifest above 4 MiB, and nobody can fill a disk with one.
func TestManifestTooLarge(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		_, err := install(t, kind, siteFor(i, nil, nil, upstream(t, t.TempDir(), "tcp")))
		must(t, err)
		body := bytes.Repeat([]byte(" "), 4<<20+1)
		// Apache lets the registry answer, which gets no more than the limit.
		want := map[proxy.Kind]int{proxy.Nginx: 413, proxy.Apache: 400}[kind]
		ask(t, client(nil, i.Addr, false), "PUT", "http://"+name+":7443/v2/some/app/manifests/latest", bytes.NewReader(body),
			http.Header{"Content-Type": {manifestType}}, want)
	})
}

func TestUnixSocket(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		// Where the workers may go, unlike the test's own folder.
		dir := filepath.Join(filepath.Dir(i.Root), "run")
		_, err := install(t, kind, siteFor(i, nil, nil, upstream(t, dir, "unix")))
		must(t, err)
		c := client(nil, i.Addr, false)
		base := "http://" + name + ":7443"
		blob, manifest := push(t, c, base, random(t, 1<<20))
		pull(t, c, base, blob, manifest)
	})
}

func TestOldTLSIsRefused(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		cert, key := ca.issue(t)
		_, err := install(t, kind, siteFor(i, cert, key, "127.0.0.1:1"))
		must(t, err)
		for version, want := range map[uint16]bool{
			tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
		} {
			conn, err := tls.Dial("tcp", i.Addr, &tls.Config{
				ServerName: name, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, //nolint:gosec // the versions are the test
			})
			if err == nil {
				conn.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
	})
}

func TestReadOnlyFolder(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		i.ReadOnly(t)
		err := tryInstall(t, kind, siteFor(i, nil, nil, "127.0.0.1:1"))
		if err == nil || !strings.Contains(err.Error(), i.Root) || !strings.Contains(err.Error(), "read-only file system") {
			t.Errorf("error is %v", err)
		}
	})
}

// The challenges of http-01, before there is a certificate and after.
func TestWebroot(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		site := siteFor(i, nil, nil, "127.0.0.1:1")
		site.Webroot = filepath.Join(filepath.Dir(i.Root), "webroot")
		site.PlainListen = []string{i.Plain}
		challenges := filepath.Join(site.Webroot, ".well-known", "acme-challenge")
		must(t, os.MkdirAll(challenges, 0o755))
		must(t, os.WriteFile(filepath.Join(challenges, "token"), []byte("answer"), 0o644))
		c := client(ca.cert, i.Plain, false)
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, issued := range []bool{false, true} {
			if issued {
				site.Cert, site.Key = ca.issue(t)
			}
			_, err := install(t, kind, site)
			must(t, err)
			if got := request(t, c, "GET", "http://"+name+"/.well-known/acme-challenge/token", nil, nil); string(got.body) != "answer" {
				t.Errorf("the challenge is answered %s: %s", got.Status, got.body)
			}
			other := request(t, c, "GET", "http://"+name+"/v2/", nil, nil)
			if want := map[bool]int{false: 404, true: 301}[issued]; other.StatusCode != want {
				t.Errorf("without TLS: %s, want %d", other.Status, want)
			}
			if got := other.Header.Get("Location"); issued && got != "https://"+name+":7443/v2/" {
				t.Errorf("led to %q", got)
			}
		}
	})
}
