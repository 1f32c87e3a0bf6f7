package main_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

// TestFleetRuntimes has podman and containerd pull, and the programs of the system
// trust the registry.
func TestFleetRuntimes(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Podman),
		testfleet.Hosts(1, testfleet.Containerd, testfleet.File("/etc/containerd/config.toml",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n")),
		testfleet.Hosts(1),
	))
	f.freshBundles()
	before := f.trees()
	url := "https://" + f.address() + "/v2/"
	if _, err := f.fleet.Host(2).Exec("curl -sSf " + url); err == nil {
		t.Fatal("curl trusts the registry before anything was done")
	}
	f.over(t, 0, "trust-clients", "--hosts", "h0", "--store", "podman").all(t, 1, "changed", "podman pull")
	f.over(t, 0, "trust-clients", "--hosts", "h1", "--store", "containerd").all(t, 1, "changed", "ctr pull")
	f.over(t, 0, "trust-clients", "--hosts", "h2", "--store", "os").all(t, 1, "changed", "curl")
	f.fleet.Host(2).Run("curl -sSf " + url)
	f.over(t, 0, "clients check").all(t, 3, "unchanged", "")
	for i, args := range []string{"podman images -q", "ctr -n regctl-canary images ls -q; ctr namespaces ls -q | grep regctl || :"} {
		if left := f.fleet.Host(i).Run(args); left != "" {
			t.Errorf("%s: %s", args, left)
		}
	}
	f.over(t, 0, "untrust-clients", "--all").all(t, 3, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}

// TestFleetAuto finds the runtimes by itself: every host here has Debian's docker and
// podman installed.
func TestFleetAuto(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker, testfleet.Podman))
	before := f.trees()
	c := f.over(t, 0, "trust-clients", "--hosts", f.names())
	c.all(t, 1, "changed", "docker pull, podman pull")
	f.over(t, 0, "untrust-clients", "--all").all(t, 1, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}

// TestNoRuntime has --store auto meet a host without any: it fails, and names the
// stores that place the CA all the same.
func TestNoRuntime(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1))
	h := f.fleet.Host(0)
	h.Run(`for p in docker dockerd podman buildah skopeo containerd ctr crictl crio nerdctl; do
for d in /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin; do rm -f $d/$p; done; done`)
	before := f.trees()
	c := f.over(t, 1, "trust-clients", "--hosts", f.names())
	if r := c.Results[0]; r.Status != "failed" || !strings.Contains(r.Hint, "--store docker") || !strings.Contains(r.Hint, "--store os") {
		t.Errorf("%+v", r)
	}
	f.asBefore(t, "after a failure", before)
	f.over(t, 0, "trust-clients", "--hosts", f.names(), "--store", "docker").all(t, 1, "changed", "curl")
	f.over(t, 0, "untrust-clients", "--all")
	f.asBefore(t, "after untrust-clients", before)
}

// TestFleetLogin logs hosts in to a registry that asks for a password, with sudo that
// asks for another, and looks for both where no secret may be.
func TestFleetLogin(t *testing.T) {
	t.Parallel()
	const password = "tr0ub4dor-and-3"
	f := newFleetRun(t, slices.Concat(testfleet.Hosts(1, testfleet.Docker), testfleet.Hosts(1, testfleet.Docker, testfleet.SudoPassword)))
	f.told(t, password, "user", "add", "alice", "--password-stdin")
	before := f.trees()
	if err := f.pushFrom(f.fleet.Host(0), "early"); err == nil {
		t.Fatal("a push before login went through")
	}
	cmd := f.onClients("trust-clients", "--hosts", f.names(), "--store", "docker", "--login", "alice", "--password-stdin", "--become-password-stdin")
	cmd.Stdin = strings.NewReader(testfleet.Password + "\n" + password + "\n")
	f.result(t, 0, cmd).all(t, 2, "changed", "docker pull")
	if err := f.pushFrom(f.fleet.Host(0), "shared"); err != nil {
		t.Error(err)
	}
	home := "/home/" + testfleet.User
	if owner := f.fleet.Host(1).Run("stat -c '%U %a' " + home + "/.docker/config.json"); owner != testfleet.User+" 600" {
		t.Errorf("config.json is %s", owner)
	}
	for _, h := range f.fleet.Hosts() {
		if found := h.Run("grep -rlsF -e '" + password + "' -e '" + testfleet.Password + "' /etc /root /home /var/lib/regctl /var/log /run /tmp || :"); found != "" {
			t.Errorf("%s: secrets in %s", h.Name, found)
		}
	}
	cmd = f.onClients("untrust-clients", "--all", "--become-password-stdin")
	cmd.Stdin = strings.NewReader(testfleet.Password + "\n")
	f.result(t, 0, cmd).all(t, 2, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}
