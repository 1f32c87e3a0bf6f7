package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestImageBuild builds an image with configuration, certificate and users in it: around
// this program, and on distribution's own images. It is run by plain docker run and
// pushed to over TLS by an engine that trusts the registry's CA and no other.
func TestImageBuild(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")
	t.Setenv("DOCKER_HOST", "unix://"+client.Sock)
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // where docker login keeps what regctl pushes with
	for _, of := range []struct {
		name string
		make func(t testing.TB, sock, ref string)
	}{{"own", nil}, {"registry:2", enginetest.Registry2}, {"registry:3", enginetest.Registry3}} {
		t.Run(of.name, func(t *testing.T) {
			o := ownImage{run: newRun(t, bin, "own"), client: client}
			o.ref = o.name + ":1"
			o.args = []string{"image", "build", "-t", o.ref, "--bake-certs"}
			if of.make != nil {
				of.make(t, client.Sock, of.name)
				o.args = append(o.args, "--base", of.name)
			}
			o.build(t)
			o.serves(t)
		})
	}
}

// ownImage is an image that regctl builds in an engine of the test's own.
type ownImage struct {
	*run
	client enginetest.Client
	ref    string
	args   []string // that build it
}

// build makes the image, twice, and by hand from its context: one image, since every
// layer is in the cache.
func (o *ownImage) build(t *testing.T) {
	t.Helper()
	o.told(t, "hunter2", "init", "--host", "registry.test", "--runtime", "process", "--no-start", "--port", o.port, "--auth", "htpasswd", "--user", "alice", "--password-stdin")
	var ids []string
	for range 2 {
		out, err := o.command(append(o.args, "-o", "json")...).Output()
		var built struct{ ID string }
		if err := errors.Join(err, json.Unmarshal(out, &built)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		ids = append(ids, built.ID)
	}
	folder := filepath.Join(t.TempDir(), "ctx")
	o.must(t, append(o.args, "--context-only", folder)...)
	enginetest.Docker(t, o.client.Sock, "build", "-q", "-t", o.name+":hand", folder)
	ids = append(ids, enginetest.Docker(t, o.client.Sock, "image", "inspect", "--format", "{{.Id}}", o.name+":hand"))
	if ids[1] != ids[0] || ids[2] != ids[0] {
		t.Errorf("built %s, again %s, by hand %s", ids[0], ids[1], ids[2])
	}
	if title := enginetest.Docker(t, o.client.Sock, "image", "inspect", "--format", `{{index .Config.Labels "org.opencontainers.image.title"}}`, o.ref); title != "registry" {
		t.Errorf("title %q", title)
	}
}

// serves runs the image and pushes to it, first the image itself by regctl.
func (o *ownImage) serves(t *testing.T) {
	t.Helper()
	sock, endpoint := o.client.Sock, "registry.test:"+o.port
	container := enginetest.Docker(t, sock, "run", "-d", "-p", o.port+":5000", o.ref)
	defer enginetest.Docker(t, sock, "rm", "-fv", container)
	o.healthyImage(t, container)
	write(t, filepath.Join(o.client.Etc, "docker", "certs.d", endpoint, "ca.crt"), string(read(t, filepath.Join(o.dir, "certs", "ca.crt"))))

	mine := endpoint + "/" + o.ref
	args := slices.Concat(o.args, []string{"-t", mine, "--push"})
	if code, said := o.fails(t, args...); code != 1 || !strings.Contains(said, "no basic auth credentials") || !strings.Contains(said, "hint: docker login") {
		t.Errorf("--push without a login: %d\n%s", code, said)
	}
	login := exec.Command("docker", "login", "--username", "alice", "--password-stdin", endpoint)
	login.Stdin = strings.NewReader("hunter2\n")
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("docker login: %v\n%s", err, out)
	}
	if said := o.must(t, args...); !strings.Contains(said, "pushed "+mine+"@sha256:") {
		t.Errorf("--push:\n%s", said)
	}
	for _, args := range [][]string{{"image", "rm", "-f", mine}, {"pull", mine}, {"image", "rm", mine}} {
		if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
			t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if _, err := push(sock, endpoint+"/team/app"); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("docker push of somebody who is not logged in: %v", err)
	}
}

// healthyImage waits until a container answers.
func (o *ownImage) healthyImage(t *testing.T, container string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+o.port, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // asks only whether it is there
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v\n%s", o.ref, err, enginetest.Docker(t, o.client.Sock, "logs", container))
		}
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
