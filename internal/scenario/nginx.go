package scenario

import (
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// behindNginx is --proxy nginx: this machine's nginx has the port and TLS, and the
// registry listens where nginx alone reaches it. The site comes when the registry
// answers, so that nobody is told 502 in between; the first of several comes after it.
func behindNginx(s spec.Spec, p Place) []step.Step {
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
