package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// ownCertificate is --tls files: a pair that the operator brings, checked and
// copied to where the registry reads it.
func ownCertificate(s spec.Spec, p Place) []step.Step {
	return join(
		folders(s, p),
		specFile(p),
		[]step.Step{
			serveDir(p, p.Dir.ServeTLS()),
			formerCA{s, p},
			noted(broughtPair{spec: s, place: p}, p),
		},
		certificateLinks(p),
		configuration(s, p),
		serving(s, p),
		pairInUse(s, p),
	)
}
