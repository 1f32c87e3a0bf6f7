package scenario

import (
	"context"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// renewalOptions says how the certificate of r is renewed while nobody watches. source
// is the executable to copy, "" where the runtime does that.
func renewalOptions(r *Registry, p Place, source string, supervision engine.Supervision) engine.RenewalOptions {
	return engine.RenewalOptions{
		Name: r.Spec.Name, Dir: r.Dir, Source: source, Seed: r.Spec.First(), Supervision: supervision,
		Writes:   proxyFolders(r.Spec, p),
		Again:    r.cutShort(),
		CronFile: source == "" && !supervision.Systemd && supervision.Reboot == host.File,
	}
}

// renewalSteps are those that set renewals up, or take them away again where there is
// nothing to renew.
func renewalSteps(r *Registry, o engine.RenewalOptions) ([]step.Step, error) {
	if r.Spec.TLS.Mode == spec.TLSNone {
		return o.WithdrawnAll(r.state.Receipts), nil
	}
	return o.Steps(r.state.Receipts)
}

// describeRenewal tells what renews the certificate, and warns where nothing does.
func (r *Registry) describeRenewal(ctx context.Context, s *Status, state string) {
	if r.Spec.TLS.Mode == spec.TLSNone {
		return
	}
	s.Renewal = renewalOptions(r, Place{}, "", engine.Supervision{}).Cover(ctx, r.state.Receipts)
	if s.Renewal != "" {
		return
	}
	s.Renewal = notCovered
	if state == Running {
		s.Warnings = append(s.Warnings, "nothing renews the certificate by itself: regctl start sets that up")
	}
}

// proxyFolders are those of the proxy that a renewal writes.
func proxyFolders(s spec.Spec, p Place) []string {
	if !s.ProxyOnHost() || p.Front == nil {
		return nil
	}
	folders := []string{p.Front.server.Root}
	for _, dir := range []string{p.Front.server.SiteDir, p.Front.server.EnabledDir} {
		if dir != "" && !strings.HasPrefix(dir, p.Front.server.Root+"/") {
			folders = append(folders, dir)
		}
	}
	return folders
}
