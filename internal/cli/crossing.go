package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/trust"
)

// concernsClients reports whether hosts must be brought along.
func concernsClients(r *scenario.Registry) (bool, error) {
	crosses, err := r.Crosses()
	if err != nil || !crosses && !r.Moves() {
		return !r.Followed(), err
	}
	hosts, err := statedir.Followers(r.Dir)
	return len(hosts) > 0 || !r.Followed(), err
}

// cross takes a registry from plain HTTP to TLS or back, under the lock, with the hosts
// that trust it. Where that was cut short, it finishes it.
func (a *app) cross(ctx context.Context, r *scenario.Registry, o applyOptions) (bool, error) {
	hosts, err := statedir.Followers(r.Dir)
	if err != nil {
		return false, err
	}
	s := defaultSSH()
	dial := &dialers{a: a, flags: &s, given: func(string) bool { return false }}
	defer dial.close()
	x := &rotation{app: a, r: r, flags: &s, skip: o.skip, hosts: hosts, dial: dial}
	err = x.cross(ctx, o)
	for _, one := range x.results {
		if one.Err != nil {
			a.ui.Error(one.Err)
		}
	}
	var stop *stopped
	if errors.As(err, &stop) && ctx.Err() == nil {
		a.ui.Error(stop.error)
		return false, exitStatus(exitPartly)
	}
	if err == nil && len(x.skipped) > 0 {
		a.ui.Warn("left behind: %s; regctl trust-clients --hosts %s brings them along", strings.Join(x.skipped, ", "), strings.Join(x.skipped, ","))
	}
	return true, err
}

func (x *rotation) cross(ctx context.Context, o applyOptions) error {
	crosses, err := x.r.Crosses()
	if err != nil {
		return err
	}
	switch {
	case len(x.hosts) == 0:
	case crosses && !x.r.HalfSwitched(ctx):
		err = x.prepare(ctx)
	case x.r.Moves():
		err = x.r.BeginMove(ctx)
	}
	if err != nil {
		return err
	}
	planned, err := x.r.Plan(ctx)
	switch {
	case err != nil:
	case planned.Empty():
		err = x.r.Await(ctx)
	default:
		if crosses && !x.r.Turns() {
			x.sayRestart(planned)
		}
		err = x.r.Apply(ctx, planned, o.retain)
	}
	if err != nil || x.r.Followed() {
		return err
	}
	return x.follow(ctx)
}

// prepare gives all hosts what they will need, beside what they need now.
func (x *rotation) prepare(ctx context.Context) error {
	if err := x.r.BeginCrossing(ctx); err != nil || x.r.ToPublicCA() {
		return err
	}
	registry, err := x.r.ForClients()
	if err != nil {
		return err
	}
	turns := x.r.Turns()
	err = x.over(ctx, round{
		verb: "preparing", registry: registry, asked: x.r.AsApplied(), unproven: x.r.Returns(), failed: "nothing was switched: %s %s not ready",
		change: func(w *clients.Wish) { anyStore(w); w.Options.Beside = turns },
	})
	if err != nil {
		return err
	}
	return x.r.NotePrepared(ctx)
}

// follow has all hosts prove that they take the registry as it is now, and forget what
// they needed before.
func (x *rotation) follow(ctx context.Context) error {
	const failed = "the registry was switched, but not all hosts have followed: %s %s not done"
	if err := x.r.DropNext(ctx); err != nil {
		return err
	}
	registry, err := x.r.InForce()
	if err != nil {
		return err
	}
	old, err := x.r.OldCA()
	if err != nil {
		return err
	}
	if old != nil { // it stays where the public CAs turn out not to do
		still := registry
		still.CA = old
		if err := x.over(ctx, round{verb: "verifying", registry: still, asked: x.r, change: anyStore, failed: failed}); err != nil {
			return err
		}
	}
	if err := x.over(ctx, round{verb: "following", registry: registry, asked: x.r, change: anyStore, failed: failed}); err != nil {
		return err
	}
	return x.r.EndCrossing(ctx)
}

// anyStore has a host take the stores that its runtimes have for the other form: those
// of the form before are not among them.
func anyStore(w *clients.Wish) {
	var stores []trust.Store
	for _, s := range w.Stores {
		if plain := s == trust.Insecure || s == trust.Legacy; plain == w.Registry.Plain {
			stores = append(stores, s)
		}
	}
	w.Stores, w.Options.Record = stores, stores != nil
}

// withClients adds to a plan what becomes of the hosts that trust the registry.
func withClients(r *scenario.Registry, planned step.Planned) (step.Planned, error) {
	crosses, err := r.Crosses()
	if err != nil || !crosses && !r.Moves() && r.Followed() {
		return planned, err
	}
	hosts, err := statedir.Followers(r.Dir)
	if err != nil || len(hosts) == 0 {
		return planned, err
	}
	round := func(name, diff string) step.Named {
		n := step.Named{Step: name}
		for _, h := range hosts {
			n.Items = append(n.Items, step.Item{Target: h, Action: host.Change, Diff: "(" + diff + ")"})
		}
		return n
	}
	if both := bothWays(r); crosses && both != "" {
		planned.Changes = append([]step.Named{round("prepare clients", both)}, planned.Changes...)
	}
	planned.Changes = append(planned.Changes, round("clients follow", "takes it the new way alone"))
	return planned, nil
}

// bothWays is what hosts are given before a change; "" where nothing can be.
func bothWays(r *scenario.Registry) string {
	switch {
	case r.Turns():
		return "takes the registry both ways, by TLS and by plain HTTP"
	case r.ToPublicCA():
		return ""
	}
	return "trusts the CA that is to come too"
}
