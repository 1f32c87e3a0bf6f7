package scenario

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/step"
)

// inSite reports whether the site in place answers http-01.
func (o ordered) inSite(ctx context.Context) bool {
	webroot := acmeWebroot(o.spec)
	if webroot == "" || o.place.Front == nil || o.place.Front.server.PID == 0 {
		return false
	}
	ref := host.Ref{Kind: siteKind(o.spec), Path: o.place.Front.server.SitePath(o.spec.Name)}
	seen, err := host.NewLocal(frontHandlers()).Look(ctx, []host.Ref{ref})
	return err == nil && seen[ref].Exists && strings.Contains(string(seen[ref].Data), webroot)
}

// lent reports whether the proxy, which has no site of ours yet, holds the port of http-01.
func (o ordered) lent() bool {
	if acmeWebroot(o.spec) == "" || o.place.Front == nil || o.place.Front.server.PID == 0 {
		return false
	}
	_, port, err := net.SplitHostPort(cmp.Or(o.spec.TLS.ChallengeAddr, ":80"))
	if err != nil {
		return false
	}
	for _, l := range o.place.Front.server.Listens {
		if strings.HasSuffix(l.Address, ":"+port) {
			return true
		}
	}
	return false
}

// throughProxy has a proxy that holds the port answer http-01 before there is a
// certificate: by a site that does nothing else. end takes that away again.
func (o ordered) throughProxy(ctx context.Context, c acme.Challenge) (_ acme.Challenge, end func() error, err error) {
	nothing := func() error { return nil }
	if c.Kind != acme.HTTP01 || c.Webroot != "" || !o.lent() {
		return c, nothing, nil
	}
	steps, err := proxy.Steps(o.place.Front.server, o.place.front(o.spec, pair{}))
	if err != nil {
		return c, nothing, err
	}
	local := host.NewLocal(frontHandlers())
	planned, err := step.Plan(ctx, local, append(challengeFolder(o.spec, o.place), steps...))
	if err != nil {
		return c, nothing, err
	}
	var ops []host.Op
	for _, change := range planned.Changes {
		ops = append(ops, change.Ops...)
	}
	receipts, err := local.Do(ctx, ops)
	end = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return step.Undo(ctx, local, receipts)
	}
	if err != nil {
		return c, nothing, firstError(err, end())
	}
	c.Webroot = acmeWebroot(o.spec)
	return c, end, nil
}
