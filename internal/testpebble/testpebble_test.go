package testpebble_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"testing"

	"github.com/regctl/regctl/internal/testpebble"
)

// The server answers at its directory, its test server for names gives addresses,
// and both are gone when they were stopped.
func TestServer(t *testing.T) {
	s := testpebble.New(t, testpebble.Options{AlternateRoots: 1})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	resp, err := client.Get(s.Directory)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the directory answers %s", resp.Status)
	}
	for n := range 2 {
		if block, _ := pem.Decode(s.Root(n)); block == nil {
			t.Errorf("root %d is no PEM", n)
		}
	}
	if ln, err := net.Listen("tcp", s.DNS); err == nil {
		ln.Close()
		t.Error("nobody listens for DNS over TCP, which Pebble asks by")
	}
	client.CloseIdleConnections()
	s.Stop()
	if resp, err := client.Get(s.Directory); err == nil {
		resp.Body.Close()
		t.Error("it answers after Stop")
	}
}
