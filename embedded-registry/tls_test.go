package embeddedregistry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// authority issues leaves for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes dir/crt and dir/key with that serial number.
func (a *authority) issue(t *testing.T, dir string, serial int64) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "a test's leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// client trusts the authority and offers HTTP/2.
func (a *authority) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
	}}
}

// swap makes dir/tls/current point to a generation, as regctl does.
func swap(t *testing.T, dir, generation string) {
	t.Helper()
	next := filepath.Join(dir, "tls", "next")
	if err := os.Symlink(generation, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "tls", "current")); err != nil {
		t.Fatal(err)
	}
}

const withTLS = base + "http: {addr: '127.0.0.1:0', secret: s, tls: {certificate: DIR/tls/current/crt, key: DIR/tls/current/key}}\n"

// first issues generation g1 with serial 100.
func first(t *testing.T, a *authority) func(string, *Options) {
	return func(dir string, _ *Options) {
		a.issue(t, filepath.Join(dir, "tls", "g1"), 100)
		swap(t, dir, "g1")
	}
}

func serial(t *testing.T, c *http.Client, s *served) int64 {
	t.Helper()
	resp := do(t, c, "GET", "https://"+s.addr+"/v2/")
	return resp.tls.PeerCertificates[0].SerialNumber.Int64()
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	roundTrip(t, s.addr, remote.WithTransport(a.client().Transport))
	resp := do(t, a.client(), "GET", "https://"+s.addr+"/v2/")
	if resp.proto != 1 || resp.tls.Version != tls.VersionTLS13 {
		t.Errorf("HTTP/%d over TLS %x", resp.proto, resp.tls.Version)
	}
	old := a.client()
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	old.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS10
	if resp, err := old.Get("https://" + s.addr + "/v2/"); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 was accepted")
	}
	wait(t, "a line about the failed handshake", func() bool { return strings.Contains(s.log.String(), "TLS handshake error") })
}

func TestHTTP2IsAskedFor(t *testing.T) {
	a := newAuthority(t)
	for name, c := range map[string]struct {
		config, extra string
		want          int
	}{
		"on":       {withTLS, "http2: true\n", 2},
		"off":      {withTLS, "http2: false\n", 1},
		"disabled": {strings.Replace(withTLS, "secret: s", "secret: s, http2: {disabled: true}", 1), "http2: true\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.config, first(t, a), func(dir string, _ *Options) { write(t, filepath.Join(dir, extraName), c.extra) })
			resp := do(t, a.client(), "GET", "https://"+s.addr+"/v2/")
			if resp.proto != c.want {
				t.Errorf("got HTTP/%d", resp.proto)
			}
		})
	}
}

func TestH2C(t *testing.T) {
	s := serve(t, base+"http: {addr: '127.0.0.1:0', secret: s, h2c: {enabled: true}}\n")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	if resp := do(t, &http.Client{Transport: transport}, "GET", "http://"+s.addr+"/v2/"); resp.proto != 2 {
		t.Errorf("got HTTP/%d", resp.proto)
	}
}

func TestClientCertificates(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, strings.Replace(withTLS, "tls: {", "tls: {minimumtls: tls1.2, ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], clientcas: [DIR/ca], ", 1),
		first(t, a), func(dir string, _ *Options) { write(t, filepath.Join(dir, "ca"), a.pem()) })
	c := a.client()
	if resp, err := c.Get("https://" + s.addr + "/v2/"); err == nil {
		resp.Body.Close()
		t.Error("a client without a certificate was let in")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "tls/g1/crt"), filepath.Join(s.dir, "tls/g1/key"))
	if err != nil {
		t.Fatal(err)
	}
	config := c.Transport.(*http.Transport).TLSClientConfig
	config.Certificates = []tls.Certificate{pair}
	config.MaxVersion = tls.VersionTLS12
	resp := do(t, c, "GET", "https://"+s.addr+"/v2/")
	if resp.status != http.StatusOK || resp.tls.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 {
		t.Errorf("%d with %s", resp.status, tls.CipherSuiteName(resp.tls.CipherSuite))
	}
}

// Certificates change under requests that each make a connection: none fails, and
// each new leaf is seen.
func TestCertificateSwap(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	var requests, failures atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			c := a.client()
			c.Transport.(*http.Transport).DisableKeepAlives = true
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Get("https://" + s.addr + "/v2/")
				if err != nil || resp.StatusCode != http.StatusOK {
					failures.Add(1)
					t.Errorf("%v %v", resp, err)
					return
				}
				resp.Body.Close()
				requests.Add(1)
			}
		})
	}
	for i := range int64(20) {
		generation := "g" + big.NewInt(i+2).String()
		a.issue(t, filepath.Join(s.dir, "tls", generation), 200+i)
		old, _ := os.Readlink(filepath.Join(s.dir, "tls", "current"))
		swap(t, s.dir, generation)
		if err := os.RemoveAll(filepath.Join(s.dir, "tls", old)); err != nil {
			t.Fatal(err)
		}
		if got := serial(t, a.client(), s); got != 200+i {
			t.Errorf("serial %d after the swap to %d", got, 200+i)
		}
		seen := requests.Load()
		wait(t, "requests to go on", func() bool { return requests.Load() > seen+8 || failures.Load() > 0 })
	}
	close(stop)
	group.Wait()
}

// A pair that does not fit, or is not there, leaves the one in use; the log says so once.
func TestBadCertificateIsNotServed(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	a.issue(t, filepath.Join(s.dir, "tls", "bad"), 666)
	a.issue(t, filepath.Join(s.dir, "tls", "other"), 667)
	if err := os.Rename(filepath.Join(s.dir, "tls/other/key"), filepath.Join(s.dir, "tls/bad/key")); err != nil {
		t.Fatal(err)
	}
	for i, generation := range []string{"bad", "missing"} {
		swap(t, s.dir, generation)
		for range 3 {
			if got := serial(t, a.client(), s); got != 100 {
				t.Errorf("%s: serial %d", generation, got)
			}
		}
		if got := strings.Count(s.log.String(), "keeping the certificate in use"); got != i+1 {
			t.Errorf("%s: logged %d times: %s", generation, got, s.log)
		}
	}
	a.issue(t, filepath.Join(s.dir, "tls", "g2"), 101)
	swap(t, s.dir, "g2")
	if got := serial(t, a.client(), s); got != 101 {
		t.Errorf("serial %d after the mend", got)
	}
}

// Files that are written over, and not swapped, are seen as well.
func TestCertificateInPlace(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, strings.ReplaceAll(withTLS, "tls/current/", "tls/g1/"), first(t, a))
	if got := serial(t, a.client(), s); got != 100 {
		t.Fatalf("serial %d", got)
	}
	a.issue(t, filepath.Join(s.dir, "tls", "g1"), 102)
	wait(t, "the new leaf", func() bool { return serial(t, a.client(), s) == 102 })
}

func TestBadCertificateAtStart(t *testing.T) {
	if err := refusal(t, withTLS); !strings.Contains(err.Error(), "tls/current/crt") {
		t.Error(err)
	}
}
