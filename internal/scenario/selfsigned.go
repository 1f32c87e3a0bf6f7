package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// selfSigned is --tls selfsigned: a private CA kept on this machine and a leaf
// for exactly the registry's names.
func selfSigned(s spec.Spec, p Place) []step.Step {
	return join(
		folders(s, p),
		specFile(p),
		[]step.Step{
			serveDir(p, p.Dir.ServeTLS()),
			noted(certificates{spec: s, place: p}, p),
		},
		certificateLinks(p),
		configuration(s, p),
		serving(s, p),
		pairInUse(s, p),
	)
}
