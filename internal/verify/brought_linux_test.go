package verify_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// brings gives a host a program of this machine that Debian has no package of, if it
// is there.
func (c *client) brings(t *testing.T, names ...string) bool {
	t.Helper()
	for _, n := range names {
		if !testenv.Has(n) {
			t.Logf("%s is not on this machine: it stays unproven here", n)
			return false
		}
		path, err := exec.LookPath(n)
		must(t, err)
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, c.WriteFile("/usr/local/bin/"+n, data))
		c.Run("chmod 755 /usr/local/bin/" + n)
	}
	return true
}

// containerdHost runs containerd with CRI and no Docker.
func containerdHost(t *testing.T) (*testfleet.Fleet, *client) {
	t.Helper()
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.Containerd, testfleet.File("/etc/containerd/config.toml",
		"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n"))...)
	c := login(t, fleet, fleet.Host(0))
	c.without("docker", "dockerd")
	return fleet, c
}

// k3s brings clients of its own along. The one here hands on to containerd's.
func TestPullsByTheClientsOfK3s(t *testing.T) {
	t.Parallel()
	fleet, c := containerdHost(t)
	guarded := serve(t, fleet, kind{guarded: true})
	c.Run("mkdir -p /run/k3s/containerd && ln -s /run/containerd/containerd.sock /run/k3s/containerd/containerd.sock")
	must(t, c.WriteFile("/usr/local/bin/k3s", []byte("#!/bin/sh\nexec \"$@\"\n")))
	c.Run("chmod 755 /usr/local/bin/k3s && mkdir -p /run/systemd && printf '#!/bin/sh\n' >/usr/sbin/service && chmod 755 /usr/sbin/service")
	c.trusts(t, guarded.Registry, trust.Options{Restart: true}, trust.K3s)
	// What k3s makes of registries.yaml when it starts.
	hosts := "/var/lib/rancher/k3s/agent/etc/containerd/certs.d/" + guarded.Address()
	c.Run("mkdir -p " + hosts)
	must(t, c.WriteFile(hosts+"/hosts.toml", []byte("server = \""+guarded.URL()+"/v2\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n"+
		"ca = [\"/etc/rancher/k3s/certs.d/"+guarded.Address()+"/ca.crt\"]\n[host]\n")))
	o := c.expect(t, verify.Target{Registry: guarded.Registry, Mode: verify.Pull, Canary: guarded.canary(t, true)}, "ctr pull", "")
	if !strings.Contains(o.Note, "CRI plugin") {
		t.Errorf("note %q", o.Note)
	}
}

func TestPullsByCrictlAndNerdctl(t *testing.T) {
	t.Parallel()
	fleet, c := containerdHost(t)
	c.Run("ctr namespaces create k8s.io")
	for _, name := range []string{"nerdctl", "crictl"} {
		if !c.brings(t, name) {
			continue
		}
		guarded, open, plain := serve(t, fleet, kind{guarded: true}), serve(t, fleet, kind{}), serve(t, fleet, kind{plain: true})
		c.trusts(t, guarded.Registry, trust.Options{}, trust.Containerd)
		ref := guarded.canary(t, true)
		c.Run("mkdir -p /var/lib/nerdctl /etc/cni/net.d /var/lib/cni")
		by := map[string]string{"nerdctl": "nerdctl pull", "crictl": "nerdctl pull"}[name]
		if name == "crictl" && !testenv.Has("nerdctl") {
			by = "ctr pull"
		}
		c.expect(t, verify.Target{Registry: guarded.Registry, Mode: verify.Pull, Canary: ref}, by, "")
		by = name + " pull"
		c.trusts(t, open.Registry, trust.Options{}, trust.Containerd)
		c.expect(t, verify.Target{Registry: open.Registry, Mode: verify.Pull, Canary: open.canary(t, false)}, by, "")
		c.trusts(t, plain.Registry, trust.Options{}, trust.Insecure)
		c.keep("hosts.toml")
		c.expect(t, verify.Target{Registry: plain.Registry, Mode: verify.Pull, Canary: plain.canary(t, false)}, by, "")
		wrong := serve(t, fleet, kind{}).Registry
		known := wrong.CA
		wrong.CA = open.CA
		c.trusts(t, wrong, trust.Options{}, trust.Containerd)
		wrong.CA = known
		c.expect(t, verify.Target{Registry: wrong, Mode: verify.Pull, Canary: named(wrong, open.canary(t, false))}, by, unknown)
	}
}

func TestPullsByBuildKit(t *testing.T) {
	t.Parallel()
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.Containerd)...)
	c := login(t, fleet, fleet.Host(0))
	if !c.brings(t, "buildkitd", "buildctl") {
		return
	}
	for _, k := range []kind{{guarded: true}, {}, {plain: true}} {
		r := serve(t, fleet, k)
		store := trust.BuildKit
		if k.plain {
			store = trust.Insecure
		}
		c.trusts(t, r.Registry, trust.Options{}, store)
		c.keep("buildkitd.toml")
		c.Run("setsid buildkitd >/var/log/buildkitd.log 2>&1 </dev/null & until buildctl debug workers; do sleep 0.1; done >/dev/null 2>&1")
		got := c.verify(t, verify.Target{Registry: r.Registry, Mode: verify.Pull, Canary: r.canary(t, k.guarded)})
		if len(got) != 1 || !got[0].Verified || got[0].By != "buildctl build" || got[0].Note != "" {
			t.Errorf("%+v", got)
		}
		stranger := serve(t, fleet, kind{})
		got = c.verify(t, verify.Target{Registry: stranger.Registry, Mode: verify.Pull, Canary: stranger.canary(t, false)})
		if len(got) != 1 || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), unknown) {
			t.Errorf("%+v", got)
		}
		// What else is left there is BuildKit's own to collect: its databases, and a record of 0 bytes.
		if out := c.Run("buildctl du --verbose; buildctl debug histories; find /run /tmp /root"); strings.Contains(out, "canary") || strings.Contains(out, "regctl-verify") {
			t.Errorf("left:\n%s", out)
		}
		c.Run("pkill -x buildkitd; while pgrep -x buildkitd; do sleep 0.05; done")
	}
}
