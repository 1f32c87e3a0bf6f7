package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
)

// verifiers are what clients check certificates with. Each answers whether the
// leaf is accepted under the CA for a host.
var verifiers = []struct {
	name string
	need string
	ok   func(t *testing.T, ca, leaf []byte, host string) (bool, string)
}{
	{"go", "", verifyGo},
	{"openssl", "openssl", verifyOpenSSL},
	{"gnutls", "certtool", verifyGnuTLS},
}

func verifyGo(t *testing.T, ca, leaf []byte, host string) (bool, string) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA")
	}
	cert, err := firstCert(leaf)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

func verifyOpenSSL(t *testing.T, ca, leaf []byte, host string) (bool, string) {
	flag := "-verify_hostname"
	if isIP(host) {
		flag = "-verify_ip"
	}
	return runTool(t, nil, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", flag, host,
		"-CAfile", writeFile(t, "ca", ca), writeFile(t, "leaf", leaf))
}

func verifyGnuTLS(t *testing.T, ca, leaf []byte, host string) (bool, string) {
	return runTool(t, leaf, "certtool", "--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.1", "--verify-hostname", host,
		"--load-ca-certificate", writeFile(t, "ca", ca))
}

func runTool(t *testing.T, stdin []byte, name string, args ...string) (bool, string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return err == nil, strings.TrimSpace(string(out))
}

// TestVerifiers shows that Go, OpenSSL and GnuTLS take our leaf for every host
// and refuse one that the same CA signed for anything else.
func TestVerifiers(t *testing.T) {
	cases := []struct {
		name    string
		hosts   []string
		outside []string
	}{
		{"name", []string{"registry.test"}, []string{"evil.test", "192.0.2.1", "2001:db8::1"}},
		{"short name", []string{"registry"}, []string{"evil", "evil.test"}},
		{"ipv4", []string{"192.0.2.10"}, []string{"192.0.2.11", "registry.test", "2001:db8::1"}},
		{"ipv6", []string{"2001:db8::10"}, []string{"2001:db8::11", "registry.test", "192.0.2.1"}},
		{
			"mixed",
			[]string{"registry.test", "registry", "localhost", "127.0.0.1", "::1", "192.0.2.10", "xn--bcher-kva.test"},
			[]string{"evil.test", "test", "192.0.2.11", "2001:db8::1"},
		},
	}
	for _, keyType := range KeyTypes() {
		for _, tc := range cases {
			if strings.HasPrefix(keyType, "rsa") && tc.name != "mixed" {
				continue // slow keys, and the names do not depend on them
			}
			t.Run(keyType+"/"+tc.name, func(t *testing.T) {
				m := makePair(t, config(keyType, tc.hosts...))
				type rogue struct {
					host string
					leaf []byte
				}
				var rogues []rogue
				for _, host := range tc.outside {
					// The rogue's key type does not matter; RSA is slow to make.
					leaf, _ := m.rogue(t, config("ecdsa256", host))
					rogues = append(rogues, rogue{host, leaf})
				}
				for _, v := range verifiers {
					t.Run(v.name, func(t *testing.T) {
						if v.need != "" {
							testenv.Need(t, v.need)
						}
						for _, host := range tc.hosts {
							if ok, out := v.ok(t, m.ca, m.leaf, host); !ok {
								t.Errorf("refuses %s: %s", host, out)
							}
						}
						for _, r := range rogues {
							if ok, _ := v.ok(t, m.ca, r.leaf, r.host); ok {
								t.Errorf("accepts %s, which the CA may not sign for", r.host)
							}
						}
					})
				}
			})
		}
	}
}

// TestHandshake talks TLS as Docker does: Go's client, the CA as its only root.
func TestHandshake(t *testing.T) {
	for _, keyType := range KeyTypes() {
		t.Run(keyType, func(t *testing.T) {
			m := makePair(t, config(keyType, "registry.test", "127.0.0.1", "::1"))
			pair, err := tls.X509KeyPair(m.leaf, m.key)
			if err != nil {
				t.Fatal(err)
			}
			other := makePair(t, config("ecdsa256", "registry.test"))
			for _, tc := range []struct {
				host string
				ca   []byte
				ok   bool
			}{
				{"registry.test", m.ca, true},
				{"127.0.0.1", m.ca, true},
				{"::1", m.ca, true},
				{"other.test", m.ca, false},
				{"127.0.0.2", m.ca, false},
				{"registry.test", other.ca, false},
			} {
				if err := handshake(t, pair, tc.ca, tc.host); (err == nil) != tc.ok {
					t.Errorf("%s: %v", tc.host, err)
				}
			}
		})
	}
}

func handshake(t *testing.T, pair tls.Certificate, ca []byte, host string) error {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(ctx) // the client's view is the one that counts
			conn.Close()
		}
	}()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
	if err == nil {
		conn.Close()
	}
	listener.Close()
	<-done
	return err
}
