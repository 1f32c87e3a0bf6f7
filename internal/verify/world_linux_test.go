package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// registry is one that runs in this process, where a fleet's hosts reach it by name.
type registry struct {
	trust.Registry
	dir statedir.Dir
}

// kind says what a registry is like.
type kind struct {
	plain, guarded bool
	tokens         bool // its own, by which one must log in
	mirror         bool // of Docker Hub, in whose place is a server that has nothing
}

func serve(t testing.TB, fleet *testfleet.Fleet, k kind) registry {
	t.Helper()
	d := statedir.Dir(t.TempDir())
	r := registry{trust.Registry{Host: testfleet.RegistryName, Plain: k.plain}, d}
	must(t, os.MkdirAll(filepath.Dir(d.Canary()), 0o700))
	must(t, statedir.Save(d, statedir.State{Name: "registry", Phase: statedir.PhaseReady, UID: os.Getuid(), GID: os.Getgid()}))
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\n"+
		"http:\n  addr: '%s:0'\n  secret: s\n", d.Data(), fleet.Gateway())
	if !k.plain {
		r.CA = r.certify(t)
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", d.Join("crt"), d.Join("key"))
	}
	if k.guarded {
		must(t, os.WriteFile(d.Join("htpasswd"), []byte("nobody:*\n"), 0o600))
		config += fmt.Sprintf("auth: {htpasswd: {realm: r, path: %q}}\n", d.Join("htpasswd"))
	}
	if k.tokens {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		must(t, os.WriteFile(d.TokenKey(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		must(t, os.WriteFile(d.Htpasswd(), []byte("nobody:*\n"), 0o600))
		must(t, os.WriteFile(d.ServeExtra(), []byte("auth: {realm: r, token: {service: s, issuer: i}}\n"), 0o600))
	}
	if k.mirror {
		r.MirrorOf = "https://registry-1.docker.io"
		upstream := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(upstream.Close)
		config += fmt.Sprintf("proxy: {remoteurl: %q}\n", upstream.URL)
	}
	must(t, os.WriteFile(d.ServeConfig(), []byte(config), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{
			ConfigPath: d.ServeConfig(), Log: io.Discard, Ready: func(a net.Addr) { ready <- a.String() },
		})
	}()
	t.Cleanup(func() { cancel(); must(t, <-done) })
	select {
	case addr := <-ready:
		_, port, err := net.SplitHostPort(addr)
		must(t, err)
		r.Port, err = strconv.Atoi(port)
		must(t, err)
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready")
	}
	return r
}

// certify gives the registry a certificate and returns its CA.
func (r registry) certify(t testing.TB) []byte {
	t.Helper()
	c := pki.Config{Hosts: []string{r.Host}, CertDays: 2, CADays: 2, Name: "registry", Now: time.Now()}
	ca, caKey, err := pki.NewCA(c)
	must(t, err)
	cert, key, err := pki.Issue(ca, caKey, c)
	must(t, err)
	must(t, os.WriteFile(r.dir.Join("crt"), cert, 0o600))
	must(t, os.WriteFile(r.dir.Join("key"), key, 0o600))
	return ca
}

// canary opens one until the test ends.
func (r registry) canary(t testing.TB, credential bool) *canary.Ref {
	t.Helper()
	ref, closer, err := canary.Open(r.dir, canary.Options{Address: r.Address(), Credential: credential})
	must(t, err)
	t.Cleanup(func() { must(t, closer()) })
	return &ref
}
