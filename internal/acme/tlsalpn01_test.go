package acme

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/testpebble"
)

// registry serves with a pair of its own at that address until the test ends, and
// returns its folder.
func registry(t *testing.T, addr string) string {
	t.Helper()
	dir := t.TempDir()
	c := pki.Config{Hosts: []string{"registry.test"}, CertDays: 1, CADays: 2, Name: "registry", Now: time.Now()}
	ca, caKey, err := pki.NewCA(c)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := pki.Issue(ca, caKey, c)
	if err != nil {
		t.Fatal(err)
	}
	config := "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {inmemory: {}}\n" +
		"http: {addr: '" + addr + "', secret: s, tls: {certificate: " + dir + "/crt, key: " + dir + "/key}}\n"
	for name, data := range map[string][]byte{"config.yml": []byte(config), "crt": cert, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "ctl"), 0o750); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{
			ConfigPath: filepath.Join(dir, "config.yml"), Log: io.Discard, Ready: func(a net.Addr) { ready <- a },
		})
	}()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the registry is not ready")
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return dir
}

func at(s *testpebble.Server, port int) string { return net.JoinHostPort(s.Addr, strconv.Itoa(port)) }

// The running registry answers, for a name and for an address, and serves its own
// certificate all the while; where validators come to another port, it does not.
func TestRegistryAnswers(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	dir := registry(t, at(s, s.TLSPort))
	names := []string{"registry.test", "b.registry.test", s.Addr}
	o := by(s, names...)
	o.Challenge = Challenge{Kind: TLSALPN01, Control: &Control{Folder: filepath.Join(dir, "ctl", "acme"), UID: -1, GID: -1}}
	o.Say = func(line string) {
		if !strings.Contains(line, "asking the CA to look") {
			return
		}
		entries, err := os.ReadDir(o.Challenge.Control.Folder)
		if err != nil || len(entries) != len(names) {
			t.Errorf("answers %v %v", entries, err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
				t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
			}
		}
		c, err := tls.Dial("tcp", at(s, s.TLSPort), &tls.Config{InsecureSkipVerify: true, ServerName: names[0]})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if got := c.ConnectionState().PeerCertificates[0]; got.VerifyHostname(names[0]) != nil || got.Issuer.CommonName == "" {
			t.Errorf("served %v", got.Subject)
		}
	}
	r, err := Obtain(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	leafOf(t, r, s.Root(0), names...)
	if left, err := os.ReadDir(filepath.Join(dir, "ctl")); err != nil || len(left) > 0 {
		t.Errorf("left %v %v", left, err)
	}

	elsewhere := testpebble.New(t, testpebble.Options{Addr: s.Addr})
	other := by(elsewhere, "registry.test")
	other.Challenge = o.Challenge
	_, err = Obtain(t.Context(), other)
	want(t, err, false, "registry.test: "+s.Addr, "port 443 of registry.test must lead to the registry with nothing in between that ends TLS")
	if left, err := os.ReadDir(filepath.Join(dir, "ctl")); err != nil || len(left) > 0 {
		t.Errorf("left %v %v", left, err)
	}

	o.Challenge.Control = &Control{Folder: filepath.Join(dir, "none", "acme"), UID: -1, GID: -1}
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "nowhere to be told of a challenge", "regctl apply")
}

func TestOwnTLSListener(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	names := []string{"registry.test", s.Addr}
	o := by(s, names...)
	o.Challenge = Challenge{Kind: TLSALPN01, Addr: at(s, s.TLSPort)}
	leafOf(t, obtain(t, o), s.Root(0), names...)
	ln, err := net.Listen("tcp", o.Challenge.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "cannot be answered on "+o.Challenge.Addr, "--challenge-addr")
}

func TestCheckTLSALPN(t *testing.T) {
	for text, serving := range map[string]Serving{
		"the registry has port 5000": {Port: 5000},
		"a proxy that ends TLS":      {Port: 443, Forwarded: true, Proxied: true},
		"a stock image":              {Port: 443, Stock: true},
	} {
		want(t, serving.CheckTLSALPN(), true, text, "--challenge http-01 or --challenge dns-01")
	}
	for _, serving := range []Serving{{Port: 443}, {Port: 5000, Forwarded: true}} {
		if err := serving.CheckTLSALPN(); err != nil {
			t.Error(err)
		}
	}
}

// What a killed call left is cleared away, and no more than that.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "ctl", "acme")
	root := filepath.Join(dir, "web")
	answers := filepath.Join(root, ".well-known", "acme-challenge")
	for _, path := range []string{
		filepath.Join(control, "registry.test"), filepath.Join(control, ".regctl-1.tmp"),
		filepath.Join(answers, "token"), filepath.Join(root, ".well-known", "security.txt"),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := Challenge{Control: &Control{Folder: control}, Webroot: root}
	for range 2 {
		if err := c.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{control: false, answers: false, filepath.Dir(control): true, filepath.Join(root, ".well-known", "security.txt"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
