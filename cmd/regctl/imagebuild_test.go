package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/testenv"
)

// An image with its configuration, certificate and users in it is run by plain
// docker run and pushed to over TLS, by a client that trusts the registry's CA and no
// other; then pushed itself, pulled, and built by hand from its context.
func TestImageBuild(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	r, to := newRun(t, bin, "own"), newRun(t, bin, "takes")
	pushed := "localhost:" + to.port + "/own:1"
	hand := r.name + ":hand"
	t.Cleanup(func() { _, _ = docker("", nil, "image", "rm", "-f", pushed, hand) })
	cmd := r.command("init", "--host", "registry.test", "--runtime", "process", "--no-start", "--auth", "htpasswd", "--user", "alice", "--password-stdin")
	cmd.Stdin = strings.NewReader("hunter2\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	to.must(t, "init", "--host", "localhost", "--tls", "none", "--runtime", "process", "--port", to.port)

	var built struct{ ID, Digest string }
	out, err := r.command("image", "build", "-t", pushed, "--bake-certs", "--push", "-o", "json").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &built); err != nil {
		t.Fatal(err)
	}
	about, err := docker("", nil, "image", "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.title"}} {{.Id}}`, pushed)
	if err != nil || about != "registry "+built.ID {
		t.Errorf("%q %v, want %s", about, err, built.ID)
	}
	if there, err := remote.Head(mustRef(t, pushed)); err != nil || there.Digest.String() != built.Digest {
		t.Errorf("pushed %v %v, want %s", there, err, built.Digest)
	}

	addr := runImage(t, pushed)
	_, port, _ := net.SplitHostPort(addr)
	ref := mustRef(t, "registry.test:"+port+"/team/app:1")
	img, err := random.Image(1<<20, 2)
	if err != nil {
		t.Fatal(err)
	}
	trusting := clientOf(t, addr, filepath.Join(r.dir, "certs", "ca.crt"))
	if err := remote.Write(ref, img, trusting, remote.WithAuth(&authn.Basic{Username: "alice", Password: "hunter2"})); err != nil {
		t.Error(err)
	}
	if err := remote.Write(ref, img, trusting); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a password: %v", err)
	}

	// By hand the same image comes of the context: every layer is in the cache.
	folder := filepath.Join(t.TempDir(), "ctx")
	r.must(t, "image", "build", "-t", pushed, "--bake-certs", "--context-only", folder)
	if id, err := docker("", nil, "build", "-q", "-t", hand, folder); err != nil || !strings.HasSuffix(id, built.ID) && !strings.Contains(id, built.ID+"\n") {
		t.Errorf("docker build: %v\n%s\nwant %s", err, id, built.ID)
	}
}

func mustRef(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text, name.StrictValidation)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// runImage starts an image as anybody would, and gives where it answers.
func runImage(t *testing.T, ref string) string {
	t.Helper()
	container, err := docker("", nil, "run", "-d", "-p", "127.0.0.1::5000", ref)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = docker("", nil, "rm", "-fv", container) })
	addr, err := docker("", nil, "port", container, "5000")
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // asks only whether it is there
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			logs, _ := docker("", nil, "logs", container)
			t.Fatalf("%s does not answer: %v\n%s", ref, err, logs)
		}
	}
}

// clientOf trusts one CA and finds every name at addr.
func clientOf(t *testing.T, addr, ca string) remote.Option {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return remote.WithTransport(&http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	})
}
