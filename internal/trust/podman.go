package trust

import (
	"slices"

	"github.com/regctl/regctl/internal/step"
)

// podman places the CA for podman, buildah, skopeo and CRI-O, which read
// /etc/containers/certs.d, or without root ~/.config/containers/certs.d, for every
// pull (containers-certs.d(5)).
func podman(r Registry, c Client, _ Options) (Placement, error) {
	if err := needCA(r, Podman); err != nil {
		return Placement{}, err
	}
	p := Placement{Store: Podman, Effect: Now}
	base, steps := containersDir(r, c)
	p.Steps = slices.Concat(steps, r.dirs(c.UID, c.GID, base+"/certs.d"))
	p.certsD(r, base+"/certs.d", c.UID, c.GID)
	return p, nil
}

func containersDir(r Registry, c Client) (base string, steps []step.Step) {
	if c.root() {
		return "/etc/containers", r.dirs(0, 0, "/etc/containers")
	}
	base = c.Home + "/.config/containers"
	return base, r.dirs(c.UID, c.GID, c.Home+"/.config", base)
}

// dropIn places a file of our own in registries.conf.d (containers-registries.conf(5)),
// which is read anew by each command of podman.
func dropIn(s Store, r Registry, c Client, name, text string) Placement {
	base, steps := containersDir(r, c)
	path := base + "/registries.conf.d/" + name + ".conf"
	steps = append(steps, r.dirs(c.UID, c.GID, base+"/registries.conf.d")...)
	steps = append(steps, place{path: path, data: []byte(text), uid: c.UID, gid: c.GID, id: r.Address(), store: s})
	p := Placement{Store: s, Effect: Now, Path: path, Steps: steps}
	if c.runs("crio") {
		p.Pending = "reload crio"
	}
	return p
}
