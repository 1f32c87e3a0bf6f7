package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
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
	bin, dir := build(t), t.TempDir()
	id := fmt.Sprintf("regctl-own-%d-%d", os.Getpid(), time.Now().UnixNano()%1e9)
	t.Cleanup(func() { _, _ = docker("", nil, "image", "rm", "-f", id+":1", id+":2", id+":hand") })
	regctl := func(input string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"--dir", filepath.Join(dir, "reg"), "--quiet"}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("regctl %v: %v\n%s", args, err, said.String())
		}
		return out
	}
	regctl("hunter2\n", "init", "--name", id, "--host", "registry.test", "--runtime", "process", "--no-start", "--auth", "htpasswd", "--user", "alice", "--password-stdin")
	t.Cleanup(func() { _ = exec.Command(bin, "--dir", filepath.Join(dir, "reg"), "destroy", "--yes").Run() })

	var built struct{ ID string }
	if err := json.Unmarshal(regctl("", "image", "build", "-t", id+":1", "--bake-certs", "-o", "json"), &built); err != nil {
		t.Fatal(err)
	}
	labels, err := docker("", nil, "image", "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.title"}} {{.Id}}`, id+":1")
	if err != nil || strings.TrimSpace(labels) != "registry "+built.ID {
		t.Errorf("%q %v, want %s", labels, err, built.ID)
	}
	push := runImage(t, id+":1", filepath.Join(dir, "reg", "certs", "ca.crt"))
	img, err := random.Image(1<<20, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := push("hunter2", img.Digest, func(ref name.Reference, o ...remote.Option) error { return remote.Write(ref, img, o...) }); err != nil {
		t.Error(err)
	}

	// By hand: the same image comes of the context.
	regctl("", "image", "build", "-t", id+":hand", "--bake-certs", "--context-only", filepath.Join(dir, "ctx"))
	if out, err := docker("", nil, "build", "-q", "-t", id+":hand", filepath.Join(dir, "ctx")); err != nil {
		t.Errorf("docker build: %v\n%s", err, out)
	}
}
