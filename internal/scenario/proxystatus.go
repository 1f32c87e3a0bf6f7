package scenario

import (
	"cmp"
	"context"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
)

// describeProxy tells what stands in front, and warns where it does not.
func (r *Registry) describeProxy(ctx context.Context, s *Status) {
	if !r.Spec.Proxied() {
		return
	}
	s.Proxy = &StatusProxy{
		Kind: r.Spec.Proxy.Kind, Image: r.Spec.Proxy.Image,
		AuthAt: cmp.Or(r.Spec.Proxy.AuthAt, spec.AuthAtRegistry),
	}
	if !r.Spec.ProxyOnHost() {
		return
	}
	server, err := proxy.Find(ctx, proxy.Kind(r.Spec.Proxy.Kind))
	if err != nil {
		warning := err.Error()
		if hint := fault.Hint(err); hint != "" {
			warning += ": " + hint
		}
		s.Warnings = append(s.Warnings, warning)
		return
	}
	s.Proxy.Version, s.Proxy.Running, s.Proxy.Site = server.Version, server.PID != 0, server.SitePath(s.Name)
	if !s.Proxy.Running {
		s.Warnings = append(s.Warnings, r.Spec.Proxy.Kind+" does not run, so that nobody reaches the registry: regctl start starts it")
	}
}

// othersServed reports whether a proxy that was started for the registry serves other
// sites by now: it is not stopped then.
func othersServed(ctx context.Context, kind string) bool {
	server, err := proxy.Find(ctx, proxy.Kind(kind))
	if err != nil {
		return true // whoever broke it has plans for it
	}
	for _, l := range server.Listens {
		if !l.Ours {
			return true
		}
	}
	return false
}
