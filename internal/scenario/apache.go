package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// behindApache is --proxy apache: as with nginx, and the modules that its site needs
// are turned on with it.
func behindApache(s spec.Spec, p Place) []step.Step {
	return join(
		renderedSite(s, p),
		socketSteps(s, p),
		p.Runtime,
		p.Withdrawn,
		usersAtProxy(s, p),
		challengeFolder(s, p),
		asksFirst(s, p),
		siteSteps(s, p),
		p.Last,
		asksNoMore(s, p),
		answersThrough(s, p),
	)
}
