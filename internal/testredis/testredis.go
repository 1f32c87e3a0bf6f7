// Package testredis runs a real redis-server for a test.
package testredis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/regctl/regctl/internal/testenv"
)

// Server is a Redis of the test's own.
type Server struct {
	Addr     string // host:port
	Password string
	// PasswordFile holds it, mode 0600.
	PasswordFile string
	// CA vouches for its certificate; "" without TLS.
	CA string
}

// Start runs a Redis on a port of its own of that address, until the test ends. It
// skips where none is installed.
func Start(t *testing.T, address string) Server { return start(t, address, "", "") }

// StartTLS is Start with TLS alone, by a certificate for that address which vouches for
// itself.
func StartTLS(t *testing.T, address string) Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return start(t, address, certFile, keyFile)
}

func start(t *testing.T, address, cert, key string) Server {
	t.Helper()
	testenv.Need(t, "redis-server")
	dir := t.TempDir()
	s := Server{Password: "redis-pa55", PasswordFile: filepath.Join(dir, "password"), CA: cert}
	must(t, os.WriteFile(s.PasswordFile, []byte(s.Password+"\n"), 0o600))
	// A port that was free a moment ago may be somebody's by now: then another is tried.
	for range 10 {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		must(t, err)
		s.Addr = l.Addr().String()
		_ = l.Close()
		if s.run(t, dir, key) {
			return s
		}
	}
	t.Fatal("redis-server finds no port")
	return s
}

func (s Server) run(t *testing.T, dir, key string) bool {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	conf := fmt.Sprintf("bind %s\ndir %s\nsave \"\"\nrequirepass %s\n", host, dir, s.Password)
	if s.CA == "" {
		conf += "port " + port + "\n"
	} else {
		conf += fmt.Sprintf("port 0\ntls-port %s\ntls-cert-file %s\ntls-key-file %s\ntls-auth-clients no\ntls-ca-cert-file %s\n", port, s.CA, key, s.CA)
	}
	path := filepath.Join(dir, "redis.conf")
	must(t, os.WriteFile(path, []byte(conf), 0o600))
	cmd := exec.Command("redis-server", path)
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr)
		if err == nil {
			_ = conn.Close()
			t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen on %s: %v", s.Addr, err)
		}
	}
}

// Client is one of its default user, until the test ends.
func (s Server) Client(t *testing.T) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: s.Addr, Password: s.Password, DisableIdentity: true}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		must(t, err)
		options.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		options.TLSConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Keys lists what is in it, in order.
func (s Server) Keys(t *testing.T) []string {
	t.Helper()
	keys, err := s.Client(t).Keys(context.Background(), "*").Result()
	must(t, err)
	slices.Sort(keys)
	return keys
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
