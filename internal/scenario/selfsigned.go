package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// ownCA keeps the CA, or puts it in the place of another one that is in force.
func ownCA(s spec.Spec, p Place) step.Step {
	c := certificates{spec: s, place: p}
	if p.Succeeds {
		return switchedCA{certificates: c, forget: !p.KeepOld}
	}
	return c
}

// selfSigned is --tls selfsigned: a private CA kept on this machine and a leaf
// for exactly the registry's names.
func selfSigned(s spec.Spec, p Place) []step.Step {
	return join(
		folders(s, p),
		specFile(p),
		[]step.Step{
			serveDir(p, p.Dir.ServeTLS()),
			noted(ownCA(s, p), p),
		},
		certificateLinks(p),
		configuration(s, p),
		serving(s, p),
		pairInUse(s, p),
	)
}
