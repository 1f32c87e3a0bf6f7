// Package enginetest gives tests the machine's Docker Engine, an engine of their
// own, and images to run in them. Everything is taken away when the test ends.
package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/testenv"
)

// DefaultSock is the machine's own engine.
const DefaultSock = "/var/run/docker.sock"

// Open connects to the engine on a unix socket, the machine's own for "".
func Open(t testing.TB, sock string) *engine.Docker {
	t.Helper()
	if sock == "" {
		testenv.Need(t, "docker")
		sock = DefaultSock
	}
	d, err := engine.OpenDocker(context.Background(), Env(map[string]string{"DOCKER_HOST": "unix://" + sock}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// Env is a getenv that knows these variables alone.
func Env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// Name is a name that nobody else uses, for a container or a volume. What bears it
// when the test ends is removed.
func Name(t testing.TB, sock string) string {
	t.Helper()
	raw := make([]byte, 6)
	_, _ = rand.Read(raw)
	name := "regctl-test-" + hex.EncodeToString(raw)
	t.Cleanup(func() {
		_, _ = docker(sock, nil, "rm", "-f", "-v", name, name+".regctl-old")
		_, _ = docker(sock, nil, "volume", "rm", name)
	})
	return name
}

// Docker runs the docker command against an engine and returns what it printed,
// without the last line's end.
func Docker(t testing.TB, sock string, args ...string) string {
	t.Helper()
	out, err := docker(sock, nil, args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func docker(sock string, stdin []byte, args ...string) (string, error) {
	if sock == "" {
		sock = DefaultSock
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", append([]string{"--host", "unix://" + sock}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Import makes an image of these files (by absolute path) and Dockerfile
// instructions; it is removed when the test ends.
func Import(t testing.TB, sock, ref string, files map[string][]byte, instructions ...string) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, data := range files {
		h := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	args := []string{"import"}
	for _, line := range instructions {
		args = append(args, "--change", line)
	}
	if out, err := docker(sock, archive.Bytes(), append(args, "-", ref)...); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = docker(sock, nil, "image", "rm", "-f", ref) })
}

// Build compiles a package of this module to a static executable for the engine. No
// two are alike, since the same bytes are the same image, and this machine's engine
// may be running those of another package's tests: they would not go when told to.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	return build(t, "-o", filepath.Join(t.TempDir(), "program"), pkg)
}

// Tiny is an executable that stands in for a registry; see its source.
func Tiny(t testing.TB) string {
	t.Helper()
	return Build(t, "github.com/regctl/regctl/internal/engine/enginetest/tiny")
}

// build runs go build; args begin with -o and the file.
func build(t testing.TB, args ...string) string {
	t.Helper()
	testenv.Need(t, "go")
	cmd := exec.CommandContext(context.Background(), "go", append([]string{
		"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.version=" + rand.Text(),
	}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return args[1]
}
