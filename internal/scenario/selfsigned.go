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
			step.MakeDir{Path: p.Dir.ServeTLS(), Mode: 0o700, UID: p.UID, GID: p.GID},
			certificates{spec: s, place: p},
		},
		certificateLinks(p),
		configuration(s, p),
		p.Runtime,
	)
}
