package acme

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testpebble"
)

// finds checks that exactly one thing was found.
func finds(t *testing.T, found []Finding, fatal bool, text, hint string) {
	t.Helper()
	if len(found) != 1 || found[0].Fatal != fatal {
		t.Fatalf("found %v; want one that is fatal: %t", found, fatal)
	}
	want(t, found[0].Err, fault.IsUsage(found[0].Err), text, hint)
}

// Nothing is found where an order succeeds, and each thing that is missing is.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{EAB: true})
	o := by(s, "registry.test")
	o.reach = &reach{
		lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(s.Addr)}, nil
		},
		dial: func(ctx context.Context, addr netip.Addr, _ int) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(addr, uint16(s.HTTPPort)).String())
		},
	}
	o.EAB = EAB{KID: testpebble.EABKeyID, HMAC: secret.New(testpebble.EABKey)}
	if found := Preflight(t.Context(), o); found != nil {
		t.Errorf("found %v", found)
	}
	for name, c := range map[string]struct {
		change     func(*Options)
		text, hint string
	}{
		"terms":    {func(o *Options) { o.AcceptTOS = false }, "terms of service", "--accept-tos"},
		"binding":  {func(o *Options) { o.EAB = EAB{} }, "external account binding", "--eab-kid"},
		"profile":  {func(o *Options) { o.Profile = "x" }, `no profile "x"`, "--profile takes default, shortlived"},
		"options":  {func(o *Options) { o.Challenge.Kind = "http" }, `unknown challenge "http"`, "http-01, tls-alpn-01 or dns-01"},
		"accounts": {func(o *Options) { o.Accounts = secret.New("x") }, "does not parse", "backup"},
	} {
		changed := o
		c.change(&changed)
		t.Run(name, func(t *testing.T) { finds(t, Preflight(t.Context(), changed), true, c.text, c.hint) })
	}
	// What an account has agreed to is not asked for again.
	o.Accounts, o.AcceptTOS, o.EAB = obtain(t, o).Accounts, false, EAB{}
	if found := Preflight(t.Context(), o); found != nil {
		t.Errorf("found %v", found)
	}
	ln, err := net.Listen("tcp", o.Challenge.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	finds(t, Preflight(t.Context(), o), true, "cannot be answered on "+o.Challenge.Addr, "--challenge-addr")

	// An own CA's validators may see what we do not: a warning, if anything.
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	o.Challenge.Webroot = t.TempDir()
	o.reach = toward(other.Listener.Addr())
	finds(t, Preflight(t.Context(), o), false, "registry.test leads to 192.0.2.1, and another answers there: HTTP 404 Not Found", "port 80 of registry.test")
	s.Stop()
	found := Preflight(t.Context(), o)
	finds(t, found[:1], true, "does not answer", "curl -v")
}

// toward is an internet in which every name has one address, and it leads there.
func toward(addr net.Addr) *reach {
	return &reach{
		lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		},
		dial: func(ctx context.Context, _ netip.Addr, _ int) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		},
	}
}

// reached is what Preflight finds on the way to one name of a Let's Encrypt order.
func reached(t *testing.T, c Challenge, r *reach, names ...string) []Finding {
	t.Helper()
	s, err := connect(t.Context(), Options{Names: names, Challenge: c, reach: r})
	if err != nil {
		t.Fatal(err)
	}
	return s.checkReach()
}

func TestReachByHTTP(t *testing.T) {
	folder := t.TempDir()
	right := httptest.NewServer(http.FileServer(http.Dir(folder)))
	t.Cleanup(right.Close)
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, right.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(redirect.Close)
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "other/1.0")
		fmt.Fprint(w, "welcome")
	}))
	t.Cleanup(wrong.Close)
	c := Challenge{Kind: HTTP01, Webroot: folder}
	if found := reached(t, c, toward(right.Listener.Addr()), "registry.example.com", "192.0.2.7", "2001:db8::7"); found != nil {
		t.Errorf("found %v", found)
	}
	if found := reached(t, c, toward(redirect.Listener.Addr()), "registry.example.com"); found != nil {
		t.Errorf("found %v", found)
	}
	finds(t, reached(t, c, toward(wrong.Listener.Addr()), "registry.example.com"), true, "another answers there: HTTP 200 OK from other/1.0", "port 80")

	r := toward(right.Listener.Addr())
	r.lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	finds(t, reached(t, c, r, "registry.example.com"), true, "no such host", "A or AAAA record")
	r.lookup = func(_ context.Context, name string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}
	}
	finds(t, reached(t, c, r, "registry.example.com"), false, "i/o timeout", "A or AAAA record")

	// One address of two is another machine's.
	r = toward(right.Listener.Addr())
	r.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
	}
	dial := r.dial
	r.dial = func(ctx context.Context, addr netip.Addr, port int) (net.Conn, error) {
		if addr.Is6() {
			return new(net.Dialer).DialContext(ctx, "tcp", wrong.Listener.Addr().String())
		}
		return dial(ctx, addr, port)
	}
	finds(t, reached(t, c, r, "registry.example.com"), true, "leads to 2001:db8::1, and another answers there", "AAAA")

	// A router that does not let us see ourselves.
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	finds(t, reached(t, c, toward(gone.Addr()), "registry.example.com"), false, "does not answer from here at 192.0.2.1", "if it is reachable from outside, go on")

	// The hosts file says that it is us.
	r = toward(right.Listener.Addr())
	r.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.1.1")}, nil
	}
	finds(t, reached(t, c, r, "registry.example.com"), false, "leads to this machine itself here", "another machine")
}

func TestReachByTLS(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	dir := registry(t, ln.Addr().String())
	c := Challenge{Kind: TLSALPN01, Control: &Control{Folder: filepath.Join(dir, "ctl", "acme"), UID: -1, GID: -1}}
	if found := reached(t, c, toward(ln.Addr()), "registry.example.com", "192.0.2.7"); found != nil {
		t.Errorf("found %v", found)
	}
	other := registry(t, "127.0.0.1:"+strconv.Itoa(port(t)))
	c.Control.Folder = filepath.Join(other, "ctl", "acme")
	finds(t, reached(t, c, toward(ln.Addr()), "registry.example.com"), true, "no handshake for tls-alpn-01", "port 443")

	plain := httptest.NewTLSServer(http.NotFoundHandler())
	plain.TLS.NextProtos = nil // any protocol will do for it
	t.Cleanup(plain.Close)
	finds(t, reached(t, c, toward(plain.Listener.Addr()), "registry.example.com"), true, "a certificate that is not the registry's answer", "port 443")
}

func port(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// directory answers as a CA at a certain time, and returns options for it.
func directory(t *testing.T, at time.Time, certificate *tls.Certificate) Options {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
		fmt.Fprint(w, `{"newAccount": "https://a.test/a", "newOrder": "https://a.test/o", "newNonce": "https://a.test/n"}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if certificate != nil {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return Options{
		Directory: server.URL, Names: []string{"registry.test"},
		CA:        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		Challenge: Challenge{Kind: DNS01, DNS: DNS{Provider: "hetzner", Credentials: credentials("HETZNER_API_TOKEN=t")}},
	}
}

func TestClock(t *testing.T) {
	now := time.Now()
	if found := Preflight(t.Context(), directory(t, now.Add(time.Minute), nil)); found != nil {
		t.Errorf("found %v", found)
	}
	finds(t, Preflight(t.Context(), directory(t, now.Add(10*time.Minute), nil)), false, "this machine's clock says", "timedatectl")
	finds(t, Preflight(t.Context(), directory(t, now.Add(-2*time.Hour), nil)), true, "this machine's clock says", "timedatectl")

	// A year off, the CA's own certificate looks out of date: its clock tells why.
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	then := now.AddDate(1, 0, 0)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "next year"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: then.Add(-time.Hour), NotAfter: then.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	o := directory(t, then, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	finds(t, Preflight(t.Context(), o), true, "that of "+o.Directory[len("https://"):]+" "+stamp(then), "timedatectl")
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "is not valid at this machine's time", "clock")
	// It is out of date by its own clock too.
	o = directory(t, now, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	finds(t, Preflight(t.Context(), o), true, "is not valid at this machine's time", "clock")
}

func TestCheck(t *testing.T) {
	good := Options{Names: []string{"registry.example.com"}, Challenge: Challenge{Kind: HTTP01}}
	if err := Check(good); err != nil {
		t.Fatal(err)
	}
	for text, c := range map[string]struct {
		change func(*Options)
		hint   string
	}{
		"there is no name":         {func(o *Options) { o.Names = nil }, "--host"},
		"registry.local: Let's":    {func(o *Options) { o.Names = []string{"registry.local"} }, "--tls selfsigned"},
		"registry: Let's":          {func(o *Options) { o.Names = []string{"registry"} }, "--tls selfsigned"},
		"10.1.2.3: Let's":          {func(o *Options) { o.Names = []string{"10.1.2.3"} }, "--tls selfsigned"},
		"fd00::1: Let's":           {func(o *Options) { o.Names = []string{"fd00::1"} }, "--tls selfsigned"},
		"127.0.0.1: Let's":         {func(o *Options) { o.Names = []string{"127.0.0.1"} }, "--tls selfsigned"},
		"proves a wildcard":        {func(o *Options) { o.Names = []string{"*.example.com"} }, "dns-01"},
		"sign no ed25519 keys":     {func(o *Options) { o.KeyType = "ed25519" }, "ecdsa256, ecdsa384, rsa2048, rsa4096"},
		"belong together":          {func(o *Options) { o.EAB.KID = "x" }, "both"},
		"the key is not base64url": {func(o *Options) { o.EAB = EAB{"x", secret.New("***")} }, "HMAC"},
		"--challenge-addr 80":      {func(o *Options) { o.Challenge.Addr = "80" }, ":80"},
		"dns-01 needs":             {func(o *Options) { o.Challenge.Kind = DNS01 }, "acme-dns, alidns"},
		`DNS provider "x"`:         {func(o *Options) { o.Challenge = Challenge{Kind: DNS01, DNS: DNS{Provider: "x"}} }, "acme-dns, alidns"},
	} {
		o := good
		c.change(&o)
		want(t, Check(o), true, text, c.hint)
	}
	for _, name := range []string{"93.184.215.14", "2606:2800:21f:cb07::1"} {
		o := good
		o.Names = []string{name}
		if err := Check(o); err != nil {
			t.Error(err)
		}
		want(t, addressFault(o), true, name, "--profile shortlived")
		o.Profile = "shortlived"
		if err := addressFault(o); err != nil {
			t.Error(err)
		}
	}
}
