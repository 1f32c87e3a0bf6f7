package verify_test

import (
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// BenchmarkClient is what the proof on one client costs, logging in left out.
func BenchmarkClient(b *testing.B) {
	fleet := testfleet.New(b, testfleet.Hosts(1, testfleet.Docker, testfleet.Podman)...)
	c := login(b, fleet, fleet.Host(0))
	r := serve(b, fleet, kind{guarded: true})
	ref := r.canary(b, true)
	seen := c.seen(b)
	for _, one := range []struct {
		name  string
		store trust.Store
		mode  verify.Mode
	}{{"docker", trust.Docker, verify.Pull}, {"podman", trust.Podman, verify.Pull}, {"curl", trust.Docker, verify.TLS}} {
		c.trusts(b, r.Registry, trust.Options{}, one.store)
		b.Run(one.name, func(b *testing.B) {
			for b.Loop() {
				got := verify.Client(b.Context(), c.SSH, seen, c.placed, verify.Target{Registry: r.Registry, Mode: one.mode, Canary: ref})
				if len(got) != 1 || !got[0].Verified {
					b.Fatalf("%+v", got)
				}
			}
		})
	}
	b.Run("docker pull and rm alone", func(b *testing.B) {
		c.Run(`mkdir -p /root/d && printf '{"auths":{"%s":{"auth":"%s"}}}' ` + r.Address() + " " + secrets(ref.User, ref.Password.Reveal())[1] + " >/root/d/config.json")
		for b.Loop() {
			c.Run("export DOCKER_CONFIG=/root/d; docker pull -q " + ref.Name + " && docker image rm " + ref.Name)
		}
	})
}
