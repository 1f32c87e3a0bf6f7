package verify

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/trust"
)

const address = "registry.test:5000"

func testVerifier(machine string) verifier {
	return verifier{
		client: trust.Client{Machine: host.ParseMachine(host.Fact{Data: []byte(machine)})},
		target: Target{
			Registry: trust.Registry{Host: "registry.test", Port: 5000, MirrorOf: "https://registry-1.docker.io"},
			Canary:   &canary.Ref{Name: address + "/regctl/canary:tag", Repository: "regctl/canary", Tag: "tag", Digests: []string{"sha256:1", "sha256:2"}},
		},
		done: map[string]Outcome{},
	}
}

// The words are those of the programs that the tests with real ones do not have.
func TestExplain(t *testing.T) {
	v := testVerifier("")
	for text, want := range map[string]string{
		"Error response from daemon: Get \"https://registry.test:5000/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority": "signed by unknown authority",
		"docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?":                                            "runtime there does not answer",
		"dial tcp: lookup registry.test on 127.0.0.53:53: server misbehaving":                                                                                  "no name that is known there",
		"dial tcp 10.0.0.1:5000: i/o timeout": "no answer from registry.test:5000 in time",
		"x509: certificate has expired or is not yet valid: current time 1970-01-01T00:00:10Z is before 2026-01-01T00:00:00Z": "by the clock of that host",
		"x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs":                               "not for the name registry.test",
		"write /var/lib/docker/tmp/x: no space left on device":                                                                "no space left on device",
		"denied: requested access to the resource is denied":                                                                  "does not let it in",
		"Error: unable to pull: manifest unknown":                                                                             "does not have the registry's image",
	} {
		says, hint := v.explain(text)
		if !strings.Contains(says, want) || hint == "" || strings.Contains(says+hint, "{") {
			t.Errorf("%s\nsays %q, hint %q; want %q", text, says, hint, want)
		}
	}
}

func TestExplainMasksWhatItDoesNotKnow(t *testing.T) {
	v := testVerifier("")
	v.target.User, v.target.Password = "u", secret.New("hunter2")
	v.target.Canary.User, v.target.Canary.Password = "c", secret.New("key")
	says, _ := v.explain("\x1b[31m" + strings.Repeat("x", 400) + "é gone: hunter2 " + credential{user: "u", password: v.target.Password}.basic() + "\n key")
	if says != "…"+says[len("…"):] || !strings.HasSuffix(says, "é gone: *** *** ***") || len(says) > longest+3 {
		t.Errorf("%q", says)
	}
	if says, _ := v.explain(" \n"); says != "it failed without a word" {
		t.Errorf("%q", says)
	}
}

func TestRuntimeOf(t *testing.T) {
	for path, want := range map[string]trust.Store{
		"/etc/docker/daemon.json": trust.Docker, "/etc/default/docker": trust.Docker, "/srv/daemon.json": trust.Docker,
		"/home/u/.config/docker/daemon.json": trust.Rootless, "/etc/containers/registries.conf.d/regctl-x.conf": trust.Podman,
		"/etc/containerd/certs.d/docker.io/hosts.toml": trust.Containerd, "/etc/rancher/k3s/registries.yaml": trust.K3s, "/etc/buildkit/buildkitd.toml": trust.BuildKit,
	} {
		if got := runtimeOf(trust.Placement{Store: trust.Insecure, Path: path}); got != want {
			t.Errorf("%s is %s's, want %s", path, got, want)
		}
	}
	if got := runtimeOf(trust.Placement{Store: trust.OS, Path: "/x/hosts.toml"}); got != trust.OS {
		t.Errorf("%s", got)
	}
}

// What is chosen where the tests with real programs have none.
func TestPulls(t *testing.T) {
	const socket, k3s = "socket /run/containerd/containerd.sock\n", "socket /run/k3s/containerd/containerd.sock\n"
	for _, c := range []struct {
		machine string
		guarded bool
		placed  trust.Placement
		by, op  string
	}{
		{"tool crictl /c\nsocket /run/crio/crio.sock\n", false, trust.Placement{Store: trust.Podman}, "crictl pull", "verify-crictl - /run/crio/crio.sock"},
		{"tool crictl /c\nsocket /run/crio/crio.sock\ndaemon crio 7\n", true, trust.Placement{Store: trust.Podman}, "", "crictl takes a password only where others can read it"},
		{"", true, trust.Placement{Store: trust.Podman}, "", "neither podman, buildah nor skopeo"},
		{socket + "tool crictl /c\ntool nerdctl /n\n", true, trust.Placement{Store: trust.Containerd}, "nerdctl pull", "verify-nerdctl"},
		{socket + "tool ctr /c\n", true, trust.Placement{Store: trust.Mirror, Path: "/a b/certs.d/docker.io/hosts.toml"}, "ctr pull", "verify-ctr - /run/containerd/containerd.sock https://registry.test:5000 /a b/certs.d"},
		{socket, false, trust.Placement{Store: trust.Containerd}, "", "neither crictl, nerdctl nor ctr"},
		{"tool ctr /c\n", false, trust.Placement{Store: trust.Containerd}, "", "no containerd listens"},
		{k3s, false, trust.Placement{Store: trust.K3s, Path: "/etc/rancher/rke2/registries.yaml"}, "crictl pull", "verify-crictl rke2 /run/k3s/containerd/containerd.sock"},
		{k3s, true, trust.Placement{Store: trust.K3s, Path: "/etc/rancher/rke2/registries.yaml"}, "ctr pull", "verify-ctr rke2 /run/k3s/containerd/containerd.sock https://registry.test:5000 /var/lib/rancher/rke2/agent/etc/containerd/certs.d"},
		{"", false, trust.Placement{Store: trust.K3s}, "", "no containerd listens"},
		{"tool buildctl /b\n", false, trust.Placement{Store: trust.BuildKit}, "", "no buildkitd listens"},
		{"socket /run/buildkit/buildkitd.sock\n", false, trust.Placement{Store: trust.BuildKit}, "", "no buildctl"},
		{"socket /var/run/docker.sock\n", false, trust.Placement{Store: trust.Legacy, Path: "/etc/default/docker"}, "", "neither docker nor curl"},
	} {
		v := testVerifier(c.machine)
		if c.guarded {
			v.target.Canary.User = "u"
		}
		w, why := v.pulls(c.placed)
		if w.by != c.by || c.by != "" && w.op.Path != c.op || c.by == "" && !strings.Contains(why, c.op) {
			t.Errorf("%+v: by %q, op %q, why %q", c, w.by, w.op.Path, why)
		}
	}
}

// deaf is a host whose connection is lost, and which may be one that forwards.
type deaf struct{ err error }

func (deaf) Name() string                                            { return "h" }
func (deaf) Look(context.Context, []host.Ref) (host.Facts, error)    { return nil, errors.ErrUnsupported }
func (d deaf) Do(context.Context, []host.Op) ([]host.Receipt, error) { return nil, d.err }

func TestClientWhoseConnectionIsLost(t *testing.T) {
	v := testVerifier("socket /var/run/docker.sock\ntool docker /d\n")
	lost := fault.Fail("run the same command again", "h: the connection ended")
	placed := []trust.Placement{{Store: trust.MapHost}, {Store: trust.Docker}, {Store: trust.Insecure, Path: "/etc/docker/daemon.json", Pending: "reload it"}}
	got := Client(t.Context(), deaf{lost}, v.client, placed, v.target)
	if len(got) != 2 || got[0].Store != trust.Docker || got[1].Store != trust.Insecure || got[0].Verified || !errors.Is(got[0].Err, lost) {
		t.Errorf("%+v", got)
	}
	failed := &host.OpError{Err: errors.New("verify-docker: it said no")}
	got = Client(t.Context(), deaf{failed}, v.client, placed[2:], v.target)
	if len(got) != 1 || got[0].Err.Error() != "docker pull: registry.test:5000: it said no" || fault.Hint(got[0].Err) != "reload it there, then run the same command again" {
		t.Errorf("%+v, hint %q", got, fault.Hint(got[0].Err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got = Client(ctx, deaf{failed}, v.client, placed, v.target); !errors.Is(got[0].Err, context.Canceled) {
		t.Errorf("%+v", got)
	}
}

// A host that opens no connections for regctl is this machine.
func TestAsksFromHere(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	v := testVerifier("")
	v.target.Registry.Host, v.target.Registry.Port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
	got := Client(t.Context(), deaf{}, v.client, []trust.Placement{{Store: trust.Docker}}, v.target)
	if len(got) != 1 || got[0].By != "tls from regctl" || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "connection refused") {
		t.Errorf("%+v", got)
	}
}
