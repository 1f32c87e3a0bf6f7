package host_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/fault"
)

func TestKnownHosts(t *testing.T) {
	other := writeKey(t, filepath.Join(t.TempDir(), "other"), "")
	_, ca, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	authority, err := ssh.NewSignerFromKey(ca)
	must(t, err)

	folder := t.TempDir()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(ecKey, "")
	must(t, err)
	put(t, filepath.Join(folder, "second"), string(pem.EncodeToMemory(block)), 0o600)
	second, err := ssh.NewPublicKey(&ecKey.PublicKey)
	must(t, err)
	s := startSSHD(t, "HostCertificate "+filepath.Join(folder, "cert.pub"), "HostKey "+filepath.Join(folder, "second"))
	name := fmt.Sprintf("[127.0.0.1]:%d", s.port)
	cert := &ssh.Certificate{Key: s.hostKey, CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	must(t, cert.SignCert(rand.Reader, authority))
	must(t, os.WriteFile(filepath.Join(folder, "cert.pub"), ssh.MarshalAuthorizedKey(cert), 0o600))
	line := func(name string, key ssh.PublicKey) string { return knownhosts.Line([]string{name}, key) + "\n" }

	tests := []struct {
		name  string
		lines []string
		want  string // part of the error
	}{
		{"plain", []string{line(name, s.hostKey)}, ""},
		{"hashed", []string{line(knownhosts.HashHostname(name), s.hostKey)}, ""},
		{"another port", []string{line("127.0.0.1", s.hostKey)}, "is not in known_hosts"},
		{"none", nil, "is not in known_hosts"},
		{"changed", []string{"# a comment\n", line(name, other)}, "has changed"},
		{"one of two", []string{line(name, other), line(name, s.hostKey)}, ""},
		{"its other key", []string{line(name, second)}, ""},
		{"revoked", []string{line(name, s.hostKey), "@revoked " + line("*", s.hostKey)}, "is revoked in"},
		{"authority", []string{"@cert-authority " + line(name, authority.PublicKey())}, ""},
		{"another authority", []string{"@cert-authority " + line(name, other)}, "host key"},
		{"garbled", []string{"127.0.0.1 ssh-ed25519 %%%\n"}, "known_hosts: "},
	}
	for _, tt := range tests {
		for _, accept := range []bool{false, true} {
			opts := s.options()
			opts.KnownHosts = hostsFile(t, tt.lines...)
			opts.AcceptNewHostKeys = accept
			before := content(t, opts.KnownHosts[0])
			_, err := s.dial(t, "root", opts)
			after := content(t, opts.KnownHosts[0])
			unknown := tt.want == "is not in known_hosts"
			switch {
			case unknown && accept:
				if err != nil || !strings.HasPrefix(after, before+name+" ssh-ed25519 ") {
					t.Errorf("%s: %v, known_hosts is %q", tt.name, err, after)
				}
				_, err = s.dial(t, "root", opts)
				if err != nil || content(t, opts.KnownHosts[0]) != after {
					t.Errorf("%s: the second time: %v", tt.name, err)
				}
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			case after != before:
				t.Errorf("%s: known_hosts is %q, was %q", tt.name, after, before)
			case err != nil && fault.Hint(err) == "" && tt.name != "another authority":
				t.Errorf("%s: %v has no hint", tt.name, err)
			}
		}
	}
}

func hostsFile(t *testing.T, lines ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	put(t, path, strings.Join(lines, ""), 0o600)
	return []string{path}
}
