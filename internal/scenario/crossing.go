package scenario

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Crosses reports whether clients are to take the registry for the one that it says it
// is by something else: plain HTTP, the public CAs, or one CA in place of another. They
// then need what is to come before the registry changes.
func (r *Registry) Crosses() (bool, error) {
	if r.state.TLS == "" {
		return false, nil
	}
	if r.applied() != r.wanted() {
		return true, nil
	}
	return r.replacesCA()
}

// replacesCA is succeeds for a registry with its clients.
func (r *Registry) replacesCA() (bool, error) {
	hosts, err := statedir.Followers(r.Dir)
	if err != nil {
		return false, err
	}
	return r.succeeds(len(hosts) > 0)
}

// Turns reports whether it goes from plain HTTP to TLS or back.
func (r *Registry) Turns() bool { return (r.applied() == byNothing) != (r.wanted() == byNothing) }

// ToPublicCA reports whether clients are to trust it without anything of ours, which
// cannot be proven before it is so.
func (r *Registry) ToPublicCA() bool { return r.applied() == byOwnCA && r.wanted() == byPublicCA }

// Moves reports whether clients know the registry by another address than the one that
// it is to have.
func (r *Registry) Moves() bool { return r.state.Address != "" && r.state.Address != r.Spec.Address() }

// Followed reports whether the clients know all that they need and nothing that they
// need no more, since the registry was changed.
func (r *Registry) Followed() bool {
	return r.state.Rotation == nil || r.state.Rotation.Phase != statedir.Following
}

// finisher is the command that ends what is under way.
func (r *Registry) finisher() string {
	if r.Followed() {
		return "regctl cert rotate-ca"
	}
	return "regctl apply"
}

// AsApplied is the registry as it was applied, to be asked and not to be changed.
func (r *Registry) AsApplied() *Registry {
	was := *r
	was.Spec.TLS.Mode = r.state.TLS
	switch {
	case r.state.PublicCA:
		was.Spec.TLS.CACert = ""
	case was.PublicCA():
		was.Spec.TLS.CACert = r.Dir.Join("certs", "ca.crt")
	}
	return &was
}

// BeginMove notes that clients are to learn another address once it is served.
func (r *Registry) BeginMove(ctx context.Context) error {
	return r.rotate(ctx, step.Planned{}, following())
}

func following() *statedir.Rotation {
	return &statedir.Rotation{Phase: statedir.Following, Since: time.Now().UTC().Truncate(time.Second)}
}

// BeginCrossing notes that clients are about to be given a second form, and makes the
// CA that they are to trust. A registry that does not answer is an error, with hosts
// that are to prove something.
func (r *Registry) BeginCrossing(ctx context.Context) error {
	if !r.AsApplied().answers(ctx) {
		return fault.Fail("see that it runs, with regctl.yaml as it was; a new port or first name is for another apply than another mode or CA",
			"%s does not answer, so that its clients cannot be brought along", r.AsApplied().Spec.Endpoint())
	}
	list, err := r.preparing()
	if err != nil {
		return err
	}
	planned, err := step.Plan(ctx, r.site.host, list)
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, following())
}

// preparing makes the CA that clients are to trust beside what they trust now.
func (r *Registry) preparing() ([]step.Step, error) {
	if r.wanted() != byOwnCA {
		return nil, nil
	}
	beside, err := r.replacesCA()
	c := certificates{r.Spec, r.placeNow()}
	switch {
	case err != nil:
		return nil, err
	case r.Spec.TLS.Mode != spec.TLSSelfSigned:
		return []step.Step{broughtCA{c, beside}}, nil
	case beside:
		return []step.Step{nextCA{c}}, nil
	}
	return []step.Step{firstCA{c}}, nil
}

// NotePrepared notes that all clients hold both forms.
func (r *Registry) NotePrepared(ctx context.Context) error {
	now := *r.state.Rotation
	now.Prepared = true
	return r.rotate(ctx, step.Planned{}, &now)
}

// HalfSwitched reports whether the switch was cut short: all clients were ready, and the
// registry does not answer any more as it was applied.
func (r *Registry) HalfSwitched(ctx context.Context) bool {
	if r.Followed() || !r.state.Rotation.Prepared {
		return false
	}
	if r.Turns() {
		return !r.AsApplied().answers(ctx)
	}
	chain, _ := readFile(r.chainPath())
	ca, _ := readFile(r.Dir.Join("certs", "ca.crt"))
	return r.applied() == byPublicCA && pki.CheckAnchor(chain, ca, time.Now()) == nil
}

// OldCA is what clients trust that were not told yet that the public CAs vouch for the
// registry now; nil where there is nothing of the kind.
func (r *Registry) OldCA() ([]byte, error) {
	if r.wanted() != byPublicCA {
		return nil, nil
	}
	return readFile(r.Dir.Join("certs", oldCert))
}

// Returns reports whether the CA that is to come is one that clients trusted until they
// were to follow to a public one, which some did not: those cannot prove anything before.
func (r *Registry) Returns() bool {
	old, err := readFile(r.Dir.Join("certs", oldCert))
	now, nowErr := readFile(r.Dir.Join("certs", "ca.crt"))
	return err == nil && nowErr == nil && old != nil && r.unforced() && bytes.Equal(old, now)
}

// DropNext gives up a CA that was to follow the one in force, and is not wanted any more.
func (r *Registry) DropNext(ctx context.Context) error {
	return r.withdraw(ctx, r.state.Rotation, nextCert, "next-ca.key")
}

// EndCrossing notes that the clients have followed.
func (r *Registry) EndCrossing(ctx context.Context) error { return r.withdraw(ctx, nil, oldCert) }

// withdraw takes files out of certs, and notes how far it has come.
func (r *Registry) withdraw(ctx context.Context, now *statedir.Rotation, files ...string) error {
	var list []step.Step
	for _, f := range files {
		list = append(list, step.RemoveFile{Path: r.Dir.Join("certs", f)})
	}
	planned, err := step.Plan(ctx, r.site.host, list)
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, now)
}

// firstCA makes the CA, and no leaf, of a registry that has none in force.
type firstCA struct{ certificates }

func (f firstCA) Name() string { return "CA" }

func (f firstCA) Plan(seen host.Facts) (step.Change, error) {
	need, err := f.needCA(seen)
	if err != nil || !need {
		return step.Change{}, err
	}
	return step.Change{
		Items: []step.Item{{Target: f.caCert().Path, Action: action(seen[f.caCert()]), Diff: fmt.Sprintf("(new CA, %d days)", f.spec.TLS.CADays)}},
		Make:  func(context.Context) ([]host.Op, error) { return f.newCA(seen) },
	}, nil
}
