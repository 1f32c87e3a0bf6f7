package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// tool is a client whose runtime pulls with one tool.
type tool struct {
	store   trust.Store
	by      string
	flavour testfleet.Flavour
	without []string // programs that would be taken first
	spied   string
}

func tools() []tool {
	return []tool{
		{trust.Docker, "docker pull", testfleet.Docker, nil, "docker"},
		{trust.Docker, "docker API by curl", testfleet.Docker, []string{"docker"}, "curl"},
		{trust.Podman, "podman pull", testfleet.Podman, nil, "podman"},
		{trust.Podman, "buildah pull", testfleet.Podman, []string{"podman"}, "buildah"},
		{trust.Podman, "skopeo copy", testfleet.Podman, []string{"podman", "buildah"}, "skopeo"},
		{trust.Containerd, "ctr pull", testfleet.Containerd, []string{"dockerd", "crictl", "nerdctl"}, "ctr"},
	}
}

// clients are hosts, one for each tool.
func clients(t *testing.T) (*testfleet.Fleet, []*client) {
	t.Helper()
	var specs []testfleet.Spec
	for _, one := range tools() {
		specs = append(specs, testfleet.Hosts(1, one.flavour)...)
	}
	fleet := testfleet.New(t, specs...)
	var all []*client
	for i, one := range tools() {
		c := login(t, fleet, fleet.Host(i))
		c.without(one.without...)
		if one.store == trust.Containerd {
			c.configPath()
		}
		c.spy(t, one.spied)
		all = append(all, c)
	}
	return fleet, all
}

// configPath spares containerd a restart.
func (c *client) configPath() {
	c.Run("mkdir -p /etc/containerd && printf 'version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n' >/etc/containerd/config.toml")
}

func TestEachToolPulls(t *testing.T) {
	t.Parallel()
	fleet, all := clients(t)
	guarded, tokens := serve(t, fleet, kind{guarded: true}), serve(t, fleet, kind{tokens: true})
	open, other, plain := serve(t, fleet, kind{}), serve(t, fleet, kind{}), serve(t, fleet, kind{plain: true})
	for i, one := range tools() {
		t.Run(one.by, func(t *testing.T) {
			c := all[i]
			check := func(r registry, target verify.Target, want string) {
				t.Helper()
				target.Registry = r.Registry
				c.expect(t, target, one.by, want)
			}
			c.trusts(t, guarded.Registry, trust.Options{}, one.store)
			ref := guarded.canary(t, true)
			check(guarded, verify.Target{Mode: verify.Auto, Canary: ref}, "")
			check(guarded, verify.Target{Mode: verify.Pull, Canary: ref, User: "nobody", Password: ref.Password}, "does not let it in")
			c.hears(t, slices.Concat(secrets(ref.User, ref.Password.Reveal()), secrets("nobody", ref.Password.Reveal()))...)

			c.trusts(t, tokens.Registry, trust.Options{}, one.store)
			ref = tokens.canary(t, true)
			check(tokens, verify.Target{Mode: verify.Pull, Canary: ref}, "")
			check(tokens, verify.Target{Mode: verify.Pull, Canary: ref, User: "nobody", Password: ref.Password}, "does not let it in")

			c.trusts(t, open.Registry, trust.Options{}, one.store)
			ref = open.canary(t, false)
			check(open, verify.Target{Mode: verify.Pull, Canary: ref}, "")
			ref.Digests = []string{"sha256:" + strings.Repeat("0", 64)}
			check(open, verify.Target{Mode: verify.Pull, Canary: ref}, "another image came")

			// What is placed is the CA of another.
			wrong := other
			wrong.CA = open.CA
			c.trusts(t, wrong.Registry, trust.Options{}, one.store)
			check(wrong, verify.Target{Mode: verify.Auto, Canary: other.canary(t, false)}, unknown)

			if one.by == "skopeo copy" {
				return // regctl finds no podman to have it as insecure
			}
			c.trusts(t, plain.Registry, trust.Options{}, trust.Insecure)
			c.keep(map[trust.Store]string{trust.Docker: "daemon.json", trust.Podman: "registries.conf.d", trust.Containerd: "hosts.toml"}[one.store])
			check(plain, verify.Target{Mode: verify.Auto, Canary: plain.canary(t, false)}, "")
		})
	}
}
