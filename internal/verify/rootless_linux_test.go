package verify_test

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// startRootless is dockerd as its users start it, but for a network of its own.
const startRootless = `set -e
printf 'ops:100000:65536\n' | tee -a /etc/subuid >>/etc/subgid
mkdir -p /run/user/4242 && chown 4242:4242 /run/user/4242 && chmod 700 /run/user/4242
setsid su ops -s /bin/sh -c '
	export XDG_RUNTIME_DIR=/run/user/4242 HOME=/home/ops
	exec rootlesskit --net=host --copy-up=/etc --copy-up=/run --propagation=rslave \
		sh -c "rm -f /run/docker /run/containerd; exec dockerd --storage-driver=vfs --iptables=false --ip6tables=false --bridge=none -H unix:///run/user/4242/docker.sock"
' >/var/log/rootless.log 2>&1 </dev/null &
tries=300
until docker -H unix:///run/user/4242/docker.sock version >/dev/null 2>&1; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || { cat /var/log/rootless.log; exit 1; }
	sleep 0.1
done`

func TestPullsByARootlessDocker(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "rootlesskit", "newuidmap")
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.Sudo, testfleet.Docker)...)
	c := login(t, fleet, fleet.Host(0))
	c.Run(startRootless)
	c.spy(t, "docker")
	r := serve(t, fleet, kind{guarded: true})
	c.trusts(t, r.Registry, trust.Options{}, trust.Rootless)
	ref := r.canary(t, true)
	target := verify.Target{Registry: r.Registry, Mode: verify.Pull, Canary: ref}
	c.expect(t, target, "docker pull", "")
	c.hears(t, secrets(ref.User, ref.Password.Reveal())...)
	if data, err := c.ReadFile(spied); err != nil || strings.Contains(string(data), "/var/run/docker.sock") {
		t.Errorf("root's dockerd was asked: %v\n%s", err, data)
	}
	c.without("docker")
	c.expect(t, target, "docker API by curl", "")
}
