// Package testpebble runs Pebble, an ACME server, for tests: a real one, built from
// its module, in strict mode, with the challenge test server that gives it names.
package testpebble

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/pki"

	"github.com/regctl/regctl/internal/testserver"
)

// Options say how the server behaves. The zero value is a strict server that is as
// fast as it can be.
type Options struct {
	// Addr is the loopback address that all listens on, and that every name has
	// unless told otherwise; "" picks one for this server alone.
	Addr string
	// HTTPPort and TLSPort are where http-01 and tls-alpn-01 are looked for, in
	// place of 80 and 443; 0 picks free ones.
	HTTPPort, TLSPort int
	// DNS answers for all names instead of the challenge test server: HOST:PORT.
	DNS string
	// EAB makes new accounts need the key that EABKeyID and EABKey are.
	EAB bool
	// AlternateRoots is how many further chains each certificate has.
	AlternateRoots int
	// RejectNonces is the percentage of good nonces that are refused, 15 if 0; -1
	// refuses none. ReuseAuthz is that of valid authorizations used again, 50 if 0;
	// -1 uses none again.
	RejectNonces, ReuseAuthz int
	// Blocked are names that the CA refuses to sign for.
	Blocked []string
}

// What an account is bound to, with Options.EAB.
const (
	EABKeyID = "kid-1"
	EABKey   = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
)

// Profiles that the server has, and their certificates' lives.
const (
	Profile         = "default"
	ProfileLife     = 90 * 24 * time.Hour
	ShortLived      = "shortlived"
	ShortLivedLife  = 6 * 24 * time.Hour
	directoryPath   = "/dir"
	retryAfterAuthz = 1 // seconds
)

// Server is a Pebble that runs until its test ends.
type Server struct {
	Directory string // the ACME directory's URL
	CA        []byte // PEM: who signed for Directory's own TLS
	Addr      string
	HTTPPort  int
	TLSPort   int
	DNS       string // HOST:PORT
	Names     string // the challenge test server's management, a URL

	t          testing.TB
	management string // Pebble's, a URL
	client     *http.Client
	processes  []*testserver.Process
}

// New starts the server. The first call on a machine builds it, which takes a
// minute; the build is kept in Go's cache.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Addr == "" {
		o.Addr = testserver.Loopback()
	}
	s := &Server{t: t, Addr: o.Addr, HTTPPort: o.HTTPPort, TLSPort: o.TLSPort, DNS: o.DNS}
	dir := t.TempDir()
	s.makeTLS(dir)
	s.HTTPPort = orFree(t, s.Addr, s.HTTPPort)
	s.TLSPort = orFree(t, s.Addr, s.TLSPort)
	if s.DNS == "" {
		s.startNames(dir)
	}
	s.startPebble(dir, o)
	return s
}

// makeTLS makes the pair that Pebble itself serves.
func (s *Server) makeTLS(dir string) {
	s.t.Helper()
	c := pki.Config{Hosts: []string{"localhost", s.Addr}, CertDays: 1, CADays: 2, Name: "pebble", Now: time.Now()}
	ca, caKey, err := pki.NewCA(c)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, key, err := pki.Issue(ca, caKey, c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(filepath.Join(dir, "cert.pem"), cert)
	s.write(filepath.Join(dir, "key.pem"), key)
	s.CA = ca
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	s.client = &http.Client{Timeout: testserver.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

// start runs one of Pebble's programs.
func (s *Server) start(program, dir string, env []string, prepare func() (args []string, url string)) {
	s.t.Helper()
	g := testserver.Program{Module: "pebble", Name: program, Dir: dir, Env: env, Client: s.client}
	s.processes = append(s.processes, g.Start(s.t, prepare))
}

func orFree(t testing.TB, addr string, port int) int {
	t.Helper()
	if port != 0 {
		return port
	}
	return testserver.FreePort(t, addr)
}

// startNames starts the challenge test server, for its DNS alone.
func (s *Server) startNames(dir string) {
	s.t.Helper()
	s.start("pebble-challtestsrv", dir, nil, func() (args []string, url string) {
		s.DNS = net.JoinHostPort(s.Addr, strconv.Itoa(testserver.FreePort(s.t, s.Addr)))
		management := net.JoinHostPort(s.Addr, strconv.Itoa(testserver.FreePort(s.t, s.Addr)))
		s.Names = "http://" + management
		return []string{
			"-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "",
			"-dnsserver", s.DNS, "-management", management, "-defaultIPv4", s.Addr, "-defaultIPv6", "",
		}, s.Names + "/clear-request-history"
	})
}

func (s *Server) startPebble(dir string, o Options) {
	s.t.Helper()
	env := []string{
		"PEBBLE_VA_NOSLEEP=1",
		"PEBBLE_WFE_NONCEREJECT=" + percent(o.RejectNonces, 15),
		"PEBBLE_AUTHZREUSE=" + percent(o.ReuseAuthz, 50),
		"PEBBLE_ALTERNATE_ROOTS=" + strconv.Itoa(o.AlternateRoots),
	}
	s.start("pebble", dir, env, func() (args []string, url string) {
		listen := net.JoinHostPort(s.Addr, strconv.Itoa(testserver.FreePort(s.t, s.Addr)))
		management := net.JoinHostPort(s.Addr, strconv.Itoa(testserver.FreePort(s.t, s.Addr)))
		s.Directory = "https://" + listen + directoryPath
		s.management = "https://" + management
		config := filepath.Join(dir, "pebble.json")
		s.write(config, s.config(dir, listen, management, o))
		return []string{"-strict", "-config", config, "-dnsserver", s.DNS}, s.Directory
	})
}

func (s *Server) config(dir, listen, management string, o Options) []byte {
	s.t.Helper()
	profile := func(life time.Duration) map[string]any {
		return map[string]any{"description": "a test's", "validityPeriod": int(life / time.Second)}
	}
	settings := map[string]any{
		"listenAddress": listen, "managementListenAddress": management,
		"certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": s.HTTPPort, "tlsPort": s.TLSPort,
		"externalAccountBindingRequired": o.EAB, "domainBlocklist": o.Blocked,
		"retryAfter":   map[string]int{"authz": retryAfterAuthz, "order": 1},
		"keyAlgorithm": "ecdsa",
		"profiles":     map[string]any{Profile: profile(ProfileLife), ShortLived: profile(ShortLivedLife)},
	}
	if o.EAB {
		settings["externalAccountMACKeys"] = map[string]string{EABKeyID: EABKey}
	}
	data, err := json.Marshal(map[string]any{"pebble": settings})
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

func percent(n, otherwise int) string {
	switch {
	case n == 0:
		n = otherwise
	case n < 0:
		n = 0
	}
	return strconv.Itoa(n)
}

func (s *Server) write(path string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Stop ends the server before its test does.
func (s *Server) Stop() {
	for _, p := range s.processes {
		p.Stop()
	}
}

// Log is what the servers have said so far.
func (s *Server) Log() string {
	var all []string
	for _, p := range s.processes {
		all = append(all, p.Log())
	}
	return strings.Join(all, "\n")
}

// call talks to one of the management interfaces and returns the answer's body.
func (s *Server) call(method, url string, body any) []byte {
	s.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testserver.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(string(data)))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, resp.Status, answer)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}
