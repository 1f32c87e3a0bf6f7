package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestDockerTrustsTheCA asks Docker itself what it thinks of our certificates: an
// engine that knows registry.test by an address that is not loopback's, where it
// would ask for none.
func TestDockerTrustsTheCA(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")

	for _, tt := range []struct{ runtime, keyType string }{
		{"docker", "ecdsa256"}, {"process", "rsa2048"}, {"process", "ed25519"},
	} {
		t.Run(tt.runtime+" "+tt.keyType, func(t *testing.T) {
			r := newRun(t, bin, "trust")
			r.must(t, "init", "--tls", "selfsigned", "--host", "registry.test", "--port", r.port, "--runtime", tt.runtime, "--key-type", tt.keyType)
			dockerTrusts(t, r, client)
		})
	}
}

func dockerTrusts(t *testing.T, r *run, client enginetest.Client) {
	endpoint := "registry.test:" + r.port
	repository := endpoint + "/" + r.name
	placed := filepath.Join(client.Etc, "docker", "certs.d", endpoint, "ca.crt")

	refused := func(when string) {
		t.Helper()
		if _, err := push(client.Sock, repository); err == nil || !strings.Contains(err.Error(), "x509: certificate signed by unknown authority") {
			t.Fatalf("push %s: %v, want x509: certificate signed by unknown authority", when, err)
		}
	}
	refused("without a CA")
	stranger := newRun(t, r.bin, "stranger")
	stranger.must(t, "init", "--host", "registry.test", "--port", stranger.port, "--no-start", "--runtime", "process")
	write(t, placed, string(read(t, filepath.Join(stranger.dir, "certs", "ca.crt"))))
	refused("with the CA of another registry of the same name")

	// From here on the engine trusts us; it was not restarted.
	write(t, placed, string(read(t, filepath.Join(r.dir, "certs", "ca.crt"))))
	p, err := push(client.Sock, repository)
	if err != nil {
		t.Fatal(err)
	}
	r.pulled(t, client.Sock, p)

	// A leaf of a foreign CA is refused, by the client that trusts ours.
	for _, name := range []string{"crt", "key"} {
		path := filepath.Join("serve", "tls", "current", name)
		write(t, filepath.Join(r.dir, path), string(read(t, filepath.Join(stranger.dir, path))))
	}
	eventuallyRefused(t, client.Sock, p)
}

// eventuallyRefused pulls until the registry has noticed its new certificate.
func eventuallyRefused(t *testing.T, sock string, p pushed) {
	t.Helper()
	err := p.pull(sock)
	for range 20 {
		if err != nil {
			break
		}
		err = p.pull(sock)
	}
	if err == nil || !strings.Contains(err.Error(), "x509") {
		t.Fatalf("pull from a registry with the leaf of a foreign CA: %v, want x509", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
