package main_test

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/regctl/regctl/internal/testfleet"
)

// hub is a registry that says it is Docker Hub, which a mirror finds by --add-host.
// Hosts know no such name: what they pull came by way of the mirror.
type hub struct {
	*run
	at string
}

const hubPassword = "hunter2"

func newHub(t *testing.T, bin, at string) hub {
	h := hub{newRun(t, bin, "hub"), at}
	cmd := h.command("init", "--host", "registry-1.docker.io", "--bind", at, "--port", "443", "--runtime", "process",
		"--auth", "htpasswd", "--user", "puller", "--password-stdin", "--set", "log.accesslog.disabled=false")
	cmd.Stdin = strings.NewReader(hubPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return h
}

func (h hub) ca() string { return filepath.Join(h.dir, "certs", "ca.crt") }

// push puts an image of two platforms there; only one of them is ever pulled.
func (h hub) push(t *testing.T, ref string) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(1<<16, 2)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture = "linux", arch
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	auth := remote.WithAuth(&authn.Basic{Username: "puller", Password: hubPassword})
	if err := remote.WriteIndex(mustRef(t, "registry-1.docker.io/library/"+ref), index, clientOf(t, net.JoinHostPort(h.at, "443"), h.ca()), auth); err != nil {
		t.Fatal(err)
	}
	return index
}

var fetches = regexp.MustCompile(`"method":"GET",.*"uri":"/v2/library/.*"status":200`)

// fetched is how many manifests and blobs were fetched from there up to now.
func (h hub) fetched(t *testing.T) int {
	t.Helper()
	return len(fetches.FindAllString(h.must(t, "logs"), -1))
}

// TestFleetMirrorsDockerHub has Docker, podman and containerd pull images by the names
// that they have at Docker Hub, by way of a mirror that logs in there: the first pull
// fetches, none of the others does, and while Docker Hub is away what was pulled is
// pulled again. Then the mirror's garbage is collected.
func TestFleetMirrorsDockerHub(t *testing.T) {
	t.Parallel()
	bin := build(t)
	config := testfleet.File("/etc/containerd/config.toml",
		"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n")
	f := fleetRun{newRun(t, bin, "fleet"), testfleet.New(t, testfleet.Hosts(1, testfleet.Docker, testfleet.Podman, testfleet.Containerd, config)...)}
	m := mirrored{f, newHub(t, bin, f.fleet.Gateway()), f.fleet.Host(0)}
	old := m.up.push(t, "app:1")
	m.init(t)
	m.Run("mkdir -p /etc/cni/net.d && touch /etc/cni/net.d/cni.lock") // podman makes it, once
	before := f.trees()
	f.over(t, 0, "trust-clients", "--hosts", "h0", "--as-mirror", "--store", "docker", "--store", "podman", "--store", "containerd").
		all(t, 1, "changed", "docker pull, podman pull, ctr pull")

	m.Run("docker pull app:1 && docker image rm app:1")
	first := m.up.fetched(t)
	if first == 0 {
		t.Fatalf("the first pull fetched nothing:\n%s", m.up.must(t, "logs"))
	}
	m.pull("app:1")
	if now := m.up.fetched(t); now != first {
		t.Errorf("the first pull fetched %d things, the next three %d more", first, now-first)
	}
	m.upstreamAway(t)
	m.tagMovesOn(t, old)

	f.over(t, 0, "untrust-clients", "--all").all(t, 1, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}

// mirrored is a mirror of a hub, and a host that is to use it.
type mirrored struct {
	fleetRun
	up hub
	*testfleet.Host
}

// init makes the mirror. A password that the hub refuses makes none.
func (m mirrored) init(t *testing.T) {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	init := []string{
		"init", "--host", testfleet.RegistryName, "--runtime", "docker", "--port", m.port, "--add-host", "registry-1.docker.io:" + m.up.at,
		"--mirror-of", "docker.io", "--mirror-username", "puller", "--mirror-password-file", password, "--mirror-ca-cert", m.up.ca(), "--mirror-open",
	}
	write(t, password, "wrong\n")
	if code, said := m.fails(t, init...); code != 2 || !strings.Contains(said, "does not let puller in") {
		t.Errorf("with a wrong password: %d\n%s", code, said)
	}
	write(t, password, hubPassword+"\n")
	if said := m.must(t, init...); strings.Contains(said, "does not answer") {
		t.Errorf("the upstream of --add-host was not asked:\n%s", said)
	}
	t.Cleanup(func() { _ = m.command("destroy", "--yes", "--quiet", "--forget-clients").Run() })
}

// pull has each runtime pull an image of Docker Hub's, and forget it.
func (m mirrored) pull(ref string) {
	m.Run("docker pull " + ref + " && docker image rm " + ref)
	m.Run("podman pull -q docker.io/library/" + ref + " && podman image rm docker.io/library/" + ref)
	m.Run("ctr -n t images pull --hosts-dir /etc/containerd/certs.d docker.io/library/" + ref + " && ctr -n t images rm --sync docker.io/library/" + ref)
}

// upstreamAway stops the hub, and starts the mirror anew; what is in it is pulled,
// before its garbage is collected and after.
func (m mirrored) upstreamAway(t *testing.T) {
	m.up.must(t, "stop")
	m.must(t, "restart")
	m.pull("app:1")
	for _, command := range []string{"docker pull app:2", "podman pull -q docker.io/library/app:2"} {
		if out, err := m.Exec(command); err == nil {
			t.Errorf("%s, of what nobody pulled:\n%s", command, out)
		}
	}
	ours := m.address() + "/library/app:1"
	m.Run("docker pull app:1 && docker tag app:1 " + ours)
	if out, err := m.Exec("docker push " + ours); err == nil || !strings.Contains(err.Error(), "mirror of https://registry-1.docker.io, which takes no pushes") {
		t.Errorf("push: %v\n%s", err, out)
	}
	m.Run("docker image rm app:1 " + ours)
	if said := m.must(t, "gc", "--yes", "--untagged"); !strings.Contains(said, "stopping") {
		t.Errorf("gc:\n%s", said)
	}
	m.pull("app:1")
}

// tagMovesOn has a tag move on in the hub, which leaves garbage in the mirror. What was
// collected is fetched again when it is asked for.
func (m mirrored) tagMovesOn(t *testing.T, old v1.ImageIndex) {
	m.up.must(t, "start")
	moved, err := m.up.push(t, "app:1").Digest()
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(100 * time.Millisecond) // the mirror asks every 2 s whether it is there
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(m.Run("docker pull app:1"), moved.String()); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the tag did not move on in the mirror")
		}
	}
	m.Run("docker image rm app:1")
	if said := m.must(t, "gc", "--yes", "--untagged"); strings.Contains(said, "freed 0 bytes") {
		t.Errorf("gc after the tag moved on:\n%s", said)
	}
	digest, err := old.Digest()
	if err != nil {
		t.Fatal(err)
	}
	m.pull("app@" + digest.String())
	m.pull("app:1")
}
