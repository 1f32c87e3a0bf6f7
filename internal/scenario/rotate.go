package scenario

import (
	"context"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// MayRotate refuses a registry whose CA cannot be replaced by a new one of ours, and
// one that is about to get another address: its clients know it by the present one.
func (r *Registry) MayRotate() error {
	switch r.Spec.TLS.Mode {
	case spec.TLSSelfSigned:
	case spec.TLSFiles:
		return fault.Usage("name the new CA by tls.caCert in "+r.Dir.Spec()+" and run regctl apply, which brings the hosts along",
			"%s has a certificate that you brought: its CA is not regctl's to replace", r.Spec.Endpoint())
	case spec.TLSNone:
		return r.needTLS()
	default:
		return fault.Usage("nothing is to be done", "%s has its certificate from a public CA", r.Spec.Endpoint())
	}
	path := r.Dir.Join("certs", "ca.crt")
	if _, err := inspectFile(path); err != nil {
		return fault.Fail("restore it from a backup: clients trust it until they trust another", "%s: %w", path, err)
	}
	leaf, err := r.Leaf()
	if err == nil && !slices.Contains(leaf.SANs(), r.Spec.First()) {
		return fault.Usage("leave the first of hosts in "+r.Dir.Spec()+" as it was until the CA has been replaced; names behind it may be added",
			"clients know the registry by another name than %s", r.Spec.First())
	}
	return nil
}

// PrepareCA makes the next CA, unless an earlier run has.
func (r *Registry) PrepareCA(ctx context.Context) error {
	planned, err := step.Plan(ctx, r.site.host, []step.Step{nextCA{certificates{r.Spec, r.placeNow()}}})
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, &statedir.Rotation{Phase: statedir.Spreading, Since: time.Now().UTC().Truncate(time.Second)})
}

// PlanSwitch plans to put the next CA in force on a registry that runs on.
func (r *Registry) PlanSwitch(ctx context.Context) (step.Planned, error) {
	return r.planLeaf(ctx, func(p Place) step.Step { return switchedCA{certificates: certificates{r.Spec, p}} })
}

// SwitchCA carries it out; skipped are the hosts that are left behind. When the endpoint
// does not come to serve the new leaf, all is put back.
func (r *Registry) SwitchCA(ctx context.Context, planned step.Planned, skipped []string) error {
	return r.rotate(ctx, planned, &statedir.Rotation{Phase: statedir.Withdrawing, Since: r.since(), Skipped: skipped})
}

// DropCA ends a rotation: nothing of the old CA stays.
func (r *Registry) DropCA(ctx context.Context) error {
	return r.withdraw(ctx, nil, oldCert)
}

func (r *Registry) since() time.Time {
	if r.state.Rotation == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return r.state.Rotation.Since
}

// rotate carries a phase out and notes that it has come to now.
func (r *Registry) rotate(ctx context.Context, planned step.Planned, now *statedir.Rotation) error {
	before := r.state
	r.state.Rotation = now
	if planned.Empty() {
		return statedir.Save(r.Dir, r.state)
	}
	return r.carryOut(ctx, planned, before, false)
}

func (r *Registry) placeNow() Place {
	p := r.site.place
	p.Now, p.Say, p.Unforced = time.Now(), r.Progress, r.unforced()
	return p
}

// Provable reports whether clients can prove their trust at all: not where the
// certificate in service is of no use any more, which only the switch mends. A registry
// that is stopped is an error, unless its CA has expired: it is not started with that.
func (r *Registry) Provable(ctx context.Context) (bool, error) {
	if r.answers(ctx) {
		return true, nil
	}
	ca, err := inspectFile(r.Dir.Join("certs", "ca.crt"))
	if r.Spec.TLS.Mode == spec.TLSSelfSigned && err == nil && time.Now().After(ca.NotAfter) {
		return false, nil
	}
	if _, err := r.endpoint(ctx).Chain(ctx); err != nil {
		return false, fault.Fail("regctl start starts it", "%s does not answer, so that no client can prove its trust", r.Spec.Endpoint())
	}
	return false, nil
}
