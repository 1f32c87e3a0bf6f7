package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Crosses reports whether the registry is to go from plain HTTP to TLS or back: clients
// then need the form that is to come before the registry changes.
func (r *Registry) Crosses() bool {
	was := r.state.TLS
	return was != "" && (was == spec.TLSNone) != (r.Spec.TLS.Mode == spec.TLSNone)
}

// Followed reports whether the clients still hold what they need no more since the
// registry crossed over.
func (r *Registry) Followed() bool {
	return r.state.Rotation == nil || r.state.Rotation.Phase != statedir.Following
}

// AsApplied is the registry as it was applied, to be asked and not to be changed.
func (r *Registry) AsApplied() *Registry {
	was := *r
	was.Spec.TLS.Mode = r.state.TLS
	return &was
}

// BeginCrossing notes that clients are about to be given a second form, and makes the
// CA that they are to trust. A registry that does not answer is an error, with hosts
// that are to prove something.
func (r *Registry) BeginCrossing(ctx context.Context) error {
	if !r.AsApplied().answers(ctx) {
		return fault.Fail("set tls.mode back to "+r.state.TLS+" and run regctl start first; a new port or first name is for another apply than a new mode",
			"%s does not answer, so that its clients cannot be brought along", r.AsApplied().Spec.Endpoint())
	}
	var list []step.Step
	if r.Spec.TLS.Mode == spec.TLSSelfSigned {
		list = append(list, firstCA{certificates{r.Spec, r.placeNow()}})
	}
	planned, err := step.Plan(ctx, r.site.host, list)
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, &statedir.Rotation{Phase: statedir.Following, Since: time.Now().UTC().Truncate(time.Second)})
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
	return !r.Followed() && r.state.Rotation.Prepared && !r.AsApplied().answers(ctx)
}

// EndCrossing notes that the clients have followed.
func (r *Registry) EndCrossing(ctx context.Context) error {
	return r.rotate(ctx, step.Planned{}, nil)
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
