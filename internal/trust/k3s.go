package trust

import (
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// k3s enters the registry in registries.yaml of k3s or rke2, which make their
// containerd's configuration of it when they start.
func k3s(r Registry, c Client, opts Options) (Placement, error) {
	return registriesYAML(K3s, r, c, opts, "")
}

func registriesYAML(s Store, r Registry, c Client, opts Options, upstream string) (Placement, error) {
	if !c.root() {
		return Placement{}, fault.Fail("log in as root or as a user with sudo", "the files of k3s are root's")
	}
	dir, service := c.k3s()
	p := Placement{Store: s, Effect: Restart, Path: dir + "/registries.yaml"}
	p.Steps = r.dirs(0, 0, "/etc/rancher", dir)
	ca := ""
	if !r.Plain && len(r.CA) > 0 {
		p.Steps = append(p.Steps, r.dirs(0, 0, dir+"/certs.d", dir+"/certs.d/"+r.Address())...)
		ca = dir + "/certs.d/" + r.Address() + "/ca.crt"
		p.Steps = append(p.Steps, p.ca(r, ca, 0, 0))
		p.Path = dir + "/registries.yaml"
	}
	p.Steps = append(p.Steps, Edit{
		Path: p.Path, Mode: 0o600, Editor: RegistriesYAML{r.Address(), r.URL(), upstream, ca},
		Then: func(_, _ []byte) ([]host.Op, error) { return needRestart(opts, service, "registries.yaml") },
	})
	return p, nil
}

// k3s is the folder and the service of whichever of the two is there.
func (c Client) k3s() (dir, service string) {
	if c.has("rke2") || c.runs("rke2") {
		return "/etc/rancher/rke2", "rke2-" + word(c.RKE2Server, "server", "agent")
	}
	return "/etc/rancher/k3s", word(c.K3sServer || c.runs("k3s-server"), "k3s", "k3s-agent")
}
