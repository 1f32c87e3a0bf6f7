package trust

import (
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/step"
)

// docker places the CA in /etc/docker/certs.d, which dockerd reads anew for every
// pull (moby registry.newTLSConfig). Docker names the folders as image references
// name the registry, an IPv6 address in brackets.
func docker(r Registry, c Client, _ Options) (Placement, error) {
	if err := needCA(r, Docker); err != nil {
		return Placement{}, err
	}
	if !c.root() {
		return Placement{}, fault.Fail("log in as root or as a user with sudo", "/etc/docker is root's")
	}
	p := Placement{Store: Docker, Effect: Now}
	p.Steps = r.dirs(0, 0, "/etc/docker", "/etc/docker/certs.d")
	p.certsD(r, "/etc/docker/certs.d", 0, 0)
	return p, nil
}

// certsD adds the CA to a folder of the certs.d kind.
func (p *Placement) certsD(r Registry, base string, uid, gid int) {
	for _, name := range r.names() {
		dir := base + "/" + name
		p.Steps = append(p.Steps, r.dirs(uid, gid, dir)...)
		p.Steps = append(p.Steps, p.ca(r, dir+"/ca.crt", uid, gid))
	}
}

func (p *Placement) ca(r Registry, path string, uid, gid int) step.Step {
	if p.Path == "" {
		p.Path = path
	}
	return place{path: path, data: r.CA, uid: uid, gid: gid, id: r.Address(), store: p.Store}
}

// needCA refuses a store of CAs for a registry that has none to place.
func needCA(r Registry, s Store) error {
	switch {
	case r.Plain:
		return fault.Usage("leave --store away, or use --store insecure", "the registry speaks plain HTTP: there is no certificate to trust in the store %s", s)
	case len(r.CA) == 0:
		return fault.Usage("nothing is to be done on clients that trust the public CAs", "the registry's certificate is from a public CA: there is none to place in the store %s", s)
	}
	return nil
}
