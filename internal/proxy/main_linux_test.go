package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/step"
)

// name is the registry's, in the certificate and in every URL.
const name = "registry.test"

// upstream starts a registry as it stands behind a proxy, and answers its address.
// Its storage may be shared: dir.
func upstream(t *testing.T, dir, network string) string {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(dir, "registry.sock")
	}
	listener, err := net.Listen(network, addr)
	must(t, err)
	if network == "unix" {
		must(t, os.Chmod(addr, 0o666))
	}
	config := filepath.Join(t.TempDir(), "config.yml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}
http: {secret: shared}
`, dir), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{
			ConfigPath: config, Listener: listener, Log: io.Discard, Ready: func(net.Addr) { close(ready) },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	if network == "unix" {
		return "unix:" + addr
	}
	return listener.Addr().String()
}

// authority signs certificates for name.
type authority struct{ cert, key []byte }

func newAuthority(t *testing.T) authority {
	t.Helper()
	cert, key, err := pki.NewCA(pki.Config{Hosts: []string{name}, Name: "test", CertDays: 1, CADays: 2, Now: time.Now()})
	must(t, err)
	return authority{cert, key}
}

func (a authority) issue(t *testing.T) (cert, key []byte) {
	t.Helper()
	cert, key, err := pki.Issue(a.cert, a.key, pki.Config{Hosts: []string{name}, Name: "test", CertDays: 1, CADays: 2, Now: time.Now()})
	must(t, err)
	return cert, key
}

// client speaks to the proxy at addr whatever the URL's host is.
func client(ca []byte, addr string, http2 bool) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		},
		TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10},
		ForceAttemptHTTP2: http2,
	}
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// local is this machine, knowing proxies.
func local(*testing.T) host.Host { return host.NewLocal(proxy.Handlers()) }

// nothing is a journal for those who will not be killed.
type nothing struct{}

func (nothing) Begin([]host.Op, host.Facts) error { return nil }
func (nothing) Commit([]host.Receipt) error       { return nil }

// install brings a site in as a scenario does, and answers the receipts.
func install(t *testing.T, kind proxy.Kind, site proxy.Site) ([]host.Receipt, error) {
	t.Helper()
	server, err := proxy.Find(t.Context(), kind)
	must(t, err)
	if err := proxy.Preflight(t.Context(), server, site); err != nil {
		return nil, err
	}
	steps, err := proxy.Steps(server, site)
	must(t, err)
	h := local(t)
	planned, err := step.Plan(t.Context(), h, steps)
	if err != nil {
		return nil, err
	}
	return step.Run(t.Context(), h, planned, nothing{})
}

// siteFor is name's registry at the instance's own address.
func siteFor(i *proxytest.Instance, cert, key []byte, upstreams ...string) proxy.Site {
	return proxy.Site{
		Name: "test", Hosts: []string{name}, Listen: []string{i.Addr}, Cert: cert, Key: key,
		Upstreams: upstreams, Realm: "Registry realm",
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// push uploads a blob in one chunked PATCH, of no announced length, and a manifest
// for it, and answers both digests.
func push(t *testing.T, c *http.Client, base string, blob []byte) (blobDigest, manifestDigest string) {
	t.Helper()
	resp := ask(t, c, "POST", base+"/v2/some/app/blobs/uploads/", nil, nil, 202)
	place := location(t, resp, base)
	// Without a length known to net/http the body is chunked.
	resp = ask(t, c, "PATCH", place, struct{ io.Reader }{bytes.NewReader(blob)}, http.Header{"Content-Type": {"application/octet-stream"}}, 202)
	place = location(t, resp, base)
	blobDigest = digest(blob)
	resp = ask(t, c, "PUT", place+"&digest="+blobDigest, nil, nil, 201)
	location(t, resp, base)
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`,
		manifestType, len(blob), blobDigest)
	resp = ask(t, c, "PUT", base+"/v2/some/app/manifests/latest", bytes.NewReader(manifest), http.Header{"Content-Type": {manifestType}}, 201)
	location(t, resp, base)
	return blobDigest, digest(manifest)
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// pull gets both again and compares.
func pull(t *testing.T, c *http.Client, base, blobDigest, manifestDigest string) {
	t.Helper()
	resp := ask(t, c, "GET", base+"/v2/some/app/manifests/latest", nil, http.Header{"Accept": {manifestType}}, 200)
	if got := digest(resp.body); got != manifestDigest {
		t.Errorf("the manifest is %s, pushed was %s", got, manifestDigest)
	}
	if resp.Header.Get("Content-Length") == "" || resp.Header.Get("Etag") != fmt.Sprintf("%q", manifestDigest) {
		t.Errorf("the proxy changed the manifest's headers: %v", resp.Header)
	}
	resp = ask(t, c, "GET", base+"/v2/some/app/blobs/"+blobDigest, nil, nil, 200)
	if got := digest(resp.body); got != blobDigest {
		t.Errorf("the blob is %s, pushed was %s", got, blobDigest)
	}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

func ask(t *testing.T, c *http.Client, method, url string, body io.Reader, header http.Header, want int) answer {
	t.Helper()
	a := request(t, c, method, url, body, header)
	if a.StatusCode != want {
		t.Fatalf("%s %s: %s, want %d\n%s", method, url, a.Status, want, a.body)
	}
	if got := a.Header.Values("Docker-Distribution-Api-Version"); len(got) != 1 || got[0] != "registry/2.0" {
		t.Errorf("%s %s: Docker-Distribution-Api-Version is %q", method, url, got)
	}
	return a
}

func request(t *testing.T, c *http.Client, method, url string, body io.Reader, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	must(t, err)
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := c.Do(req)
	must(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{resp, data}
}

// location is where the registry says to go on, which must be by way of the proxy.
func location(t *testing.T, a answer, base string) string {
	t.Helper()
	place := a.Header.Get("Location")
	if !strings.HasPrefix(place, base+"/v2/") {
		t.Fatalf("Location is %q, want one under %s", place, base)
	}
	return place
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	_, err := rand.Read(data)
	must(t, err)
	return data
}

// listen takes an address until the test ends.
func listen(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	must(t, err)
	t.Cleanup(func() { l.Close() })
}
