package proxy_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
)

// A certificate that is renewed is served from the next connection on, and a pull that
// is under way goes on to its end.
func TestRenewalDuringPull(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		began, goOn := make(chan struct{}), make(chan struct{})
		store := backend(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("a"), 1<<20)) // the client counts
			w.(http.Flusher).Flush()
			close(began)
			<-goOn
			_, _ = w.Write(bytes.Repeat([]byte("b"), 1<<20))
		})
		cert, key := ca.issue(t)
		site := siteFor(i, cert, key, store)
		_, err := install(t, kind, site)
		must(t, err)
		got := make(chan int, 1)
		go func() {
			resp, err := client(ca.cert, i.Addr, true).Get("https://" + name + ":7443/v2/some/app/blobs/1")
			if err != nil {
				t.Error(err)
				got <- -1
				return
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil {
				t.Error(err)
			}
			got <- int(n)
		}()
		select {
		case <-began:
		case <-got:
			t.Fatal("the pull did not begin")
		}
		site.Cert, site.Key = ca.issue(t)
		_, err = install(t, kind, site)
		must(t, err)
		if serial := served(t, i.Addr); serial == leaf(t, cert) || serial != leaf(t, site.Cert) {
			t.Error("the old certificate is served")
		}
		close(goOn)
		if n := <-got; n != 2<<20 {
			t.Errorf("the pull got %d bytes", n)
		}
	})
}

func served(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // which one is the question
	must(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A registry that was restarted has ended connections that the proxy had kept: nobody
// is told.
func TestRegistryRestarts(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		registry := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // what was sent is not the question
		}))
		t.Cleanup(registry.Close)
		_, err := install(t, kind, siteFor(i, nil, nil, strings.TrimPrefix(registry.URL, "http://")))
		must(t, err)
		c := client(nil, i.Addr, false)
		url := "http://" + name + ":7443/v2/some/app/"
		for range 5 {
			ask(t, c, "PUT", url+"manifests/latest", strings.NewReader("{}"), nil, 200)
			registry.CloseClientConnections()
			ask(t, c, "PUT", url+"manifests/latest", strings.NewReader("{}"), nil, 200)
			registry.CloseClientConnections()
			ask(t, c, "POST", url+"blobs/uploads/", nil, nil, 200)
			registry.CloseClientConnections()
		}
	})
}

func leaf(t *testing.T, cert []byte) string {
	t.Helper()
	block, _ := pem.Decode(cert)
	first, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return first.SerialNumber.String()
}
