package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// plainHTTP is --tls none: no certificate; every client must be told that it is
// to accept plain HTTP from this registry.
func plainHTTP(s spec.Spec, p Place) []step.Step {
	return join(
		folders(s, p),
		specFile(p),
		configuration(s, p),
		serving(s, p),
	)
}
