package embeddedregistry

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// challenge puts a certificate and key of that serial number where the registry
// looks for a name's challenge.
func challenge(t *testing.T, s *served, a *authority, name string, serial int64) string {
	t.Helper()
	dir := t.TempDir()
	a.issue(t, dir, serial)
	var both []byte
	for _, part := range []string{"crt", "key"} {
		data, err := os.ReadFile(filepath.Join(dir, part))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, data...)
	}
	path := filepath.Join(s.dir, "ctl", "acme", name)
	write(t, path, string(both))
	return path
}

// asValidator makes the handshake of a validator.
func asValidator(t *testing.T, s *served, name string, protocols ...string) (*tls.Conn, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: protocols})
	return c, c.HandshakeContext(t.Context())
}

func TestACMEChallenge(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	const name = "registry.test"
	path := challenge(t, s, a, name, 555)
	for _, asked := range []string{name, "Registry.TEST"} {
		c, err := asValidator(t, s, asked, acmeProtocol)
		if err != nil {
			t.Fatal(err)
		}
		state := c.ConnectionState()
		if got := state.PeerCertificates[0].SerialNumber.Int64(); got != 555 || state.NegotiatedProtocol != acmeProtocol {
			t.Errorf("%s: serial %d over %q", asked, got, state.NegotiatedProtocol)
		}
	}
	for what, protocols := range map[string][]string{
		"no protocol": nil, "HTTP": {"http/1.1"}, "both": {acmeProtocol, "http/1.1"},
	} {
		c, err := asValidator(t, s, name, protocols...)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 100 {
			t.Errorf("%s: serial %d", what, got)
		}
	}
	challenge(t, s, a, name, 556) // written over: seen in the next handshake
	if c, err := asValidator(t, s, name, acmeProtocol); err != nil || c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() != 556 {
		t.Errorf("the second challenge: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	unanswered(t, s, name)
}

// unanswered expects that the registry has no protocol in common with a validator.
func unanswered(t *testing.T, s *served, name string) {
	t.Helper()
	_, err := asValidator(t, s, name, acmeProtocol)
	if err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("%s: %v", name, err)
	}
}

// Nothing but handshakes goes over a validator's connection, also where a client
// needs a certificate.
func TestACMEChallengeServesNoRequest(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, strings.Replace(withTLS, "tls: {", "tls: {clientcas: [DIR/ca], ", 1),
		first(t, a), func(dir string, _ *Options) { write(t, filepath.Join(dir, "ca"), a.pem()) })
	challenge(t, s, a, "registry.test", 555)
	c, err := asValidator(t, s, "registry.test", acmeProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(c, "GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n\r\n"); err != nil {
		return // closed already
	}
	if answer, err := io.ReadAll(c); len(answer) > 0 {
		t.Errorf("answered %s (%v)", answer, err)
	}
}

// A name leads to a file in ctl/acme or nowhere, and a file that is no pair is
// logged and not served.
func TestACMEChallengeOddFiles(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	write(t, filepath.Join(s.dir, "ctl", "acme", "bad.test"), "no certificate")
	unanswered(t, s, "bad.test")
	wait(t, "the file's name in the log", func() bool { return strings.Contains(s.log.String(), "ctl/acme/bad.test: ") })
	unanswered(t, s, "unknown.test")
	for _, name := range []string{"", ".", "..", "../readonly", "a/b", `a\b`, "a\x00b", ".hidden", strings.Repeat("a", 254)} {
		if isServerName(name) {
			t.Errorf("%q may be a file", name)
		}
	}
	for _, name := range []string{"a", "a.b-c.test", "_x.test", "1.2.0.192.in-addr.arpa"} {
		if !isServerName(name) {
			t.Errorf("%q may not be a file", name)
		}
	}
	if got := serial(t, a.client(), s); got != 100 {
		t.Errorf("serial %d", got)
	}
}
