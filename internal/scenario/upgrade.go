package scenario

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// WantImage makes another stock image wanted of a registry that runs one.
func (r *Registry) WantImage(ref string) error {
	if r.Spec.Image == "" {
		return fault.Usage("leave --image out: this registry is regctl's own; or set image: in regctl.yaml and run regctl apply",
			"%s runs no stock image", r.Name())
	}
	want := r.Spec
	if want.Image = ref; want.Image == r.Spec.Image {
		return nil
	}
	data, err := spec.Edit(r.file, r.Spec, want)
	if err != nil {
		return err
	}
	return r.WantFile(want, data)
}

// ConnectForUpgrade is Connect for PlanUpgrade and Upgrade: this executable is to take
// over. One that is older than what runs is refused, unless back is set, and so is a
// change that the hosts that trust the registry must follow.
func (r *Registry) ConnectForUpgrade(ctx context.Context, back bool) error {
	if known := r.state.Program; !back && Older(r.Version, known) {
		return fault.Usage("use that one or a later one; --downgrade goes back to this one all the same",
			"%s runs regctl %s, and this is the older %s", r.Name(), known, r.Version)
	}
	crosses, err := r.Crosses()
	if err != nil {
		return err
	}
	if crosses || r.Moves() || !r.Followed() {
		return fault.Usage("run regctl apply first", "%s wants another TLS mode, port or first name than clients know", r.Dir.Spec())
	}
	r.upgrading = true
	return r.Connect(ctx)
}

// Upgradable tells which program runs the registry and which is to, and whether there
// is anything to do about that. r is connected.
func (r *Registry) Upgradable(ctx context.Context) (from, to Release, behind bool, err error) {
	found, err := r.site.runtime.Inspect(ctx)
	if err != nil {
		return from, to, false, err
	}
	from, to = r.Releases(found.Image)
	return from, to, from != to || r.state.Upgrade != nil, nil
}

// PlanUpgrade is Plan with what this executable brings, and what goes when it has
// taken over.
func (r *Registry) PlanUpgrade(ctx context.Context, from, to Release) (step.Planned, error) {
	planned, err := r.Plan(ctx)
	if err != nil {
		return planned, err
	}
	say := func(target string, action host.Action, diff string) {
		item := step.Item{Target: target, Action: action, Diff: diff}
		planned.Changes = append(planned.Changes, step.Named{Step: "upgrade", Change: step.Change{Items: []step.Item{item}}})
	}
	if from.Layout != to.Layout {
		say(r.Dir.State(), host.Change, fmt.Sprintf("(schema version %d becomes %d: it notes the program; an older regctl refuses it then)", from.Layout, to.Layout))
	}
	gone, err := r.planOutdated(ctx)
	for _, item := range gone.Items() {
		say(item.Target, item.Action, "(once the new one has answered, if no other registry runs from it)")
	}
	return planned, err
}

// Interrupts reports whether a plan has the registry away for a moment.
func (r *Registry) Interrupts(planned step.Planned) bool {
	runs := replicaRefs(r.Spec, r.site.place)
	return len(runs) == 1 && slices.ContainsFunc(planned.Changes, func(c step.Named) bool {
		return slices.ContainsFunc(c.Ops, func(op host.Op) bool { return op.Ref == runs[0] && op.Action != host.Create })
	})
}

// planOutdated plans to remove the images of ours that the registry ran from before this
// executable, also from the nodes of a swarm. One that another registry runs from stays.
func (r *Registry) planOutdated(ctx context.Context) (step.Planned, error) {
	var steps []step.Step
	kinds := []host.Kind{engine.KindImage, kindNodeImage}
	seen := map[host.Ref]bool{}
	for _, kind := range kinds {
		seen[host.Ref{Kind: kind, Path: r.site.image}] = true
	}
	add := func(ref host.Ref) {
		if slices.Contains(kinds, ref.Kind) && strings.HasPrefix(ref.Path, image.Repository+":") && !seen[ref] {
			seen[ref] = true
			steps = append(steps, away{ref})
		}
	}
	add(host.Ref{Kind: engine.KindImage, Path: r.state.Image})
	if u := r.state.Upgrade; u != nil {
		add(host.Ref{Kind: engine.KindImage, Path: u.Image})
	}
	for _, receipt := range r.state.Receipts {
		add(receipt.Ref)
	}
	return step.Plan(ctx, r.site.host, steps)
}

// Upgrade carries out what PlanUpgrade planned, under the lock. It is done when the
// registry was seen to serve; when it was not, what this and earlier tries changed is
// put back. Killed at any point, the same again finishes.
func (r *Registry) Upgrade(ctx context.Context, planned step.Planned, from, to Release) error {
	if r.proven() && from != to {
		r.state.Upgrade = nil // what that one left goes with this one
	}
	if !r.proven() {
		again := r.state.Upgrade != nil
		if !again {
			r.state.Upgrade = &statedir.Upgrade{Since: time.Now().UTC().Truncate(time.Second), Image: r.state.Image}
			if err := statedir.Save(r.Dir, r.state); err != nil {
				return err
			}
		}
		r.watch()
		_, err := step.Run(ctx, r.site.host, planned, &statedir.Journal{Dir: r.Dir, State: &r.state, Upgrade: true})
		if err == nil {
			err = r.prove(ctx)
		}
		if err != nil {
			return r.takeBack(ctx, again, from, to, err)
		}
	}
	return r.tookOver(ctx)
}

// cutShort reports whether this upgrade goes on with one that was killed: nobody knows
// whether what runs was restarted since its program or its files were replaced.
func (r *Registry) cutShort() bool {
	return r.upgrading && r.state.Upgrade != nil && !r.state.Upgrade.Proven
}

// staleStock restarts a stock image in that case. One of ours is another container.
func (r *Registry) staleStock(ref host.Ref) []step.Step {
	if r.Spec.Image == "" || !r.cutShort() {
		return nil
	}
	return []step.Step{amiss{ref, "it may run by what was there before"}}
}

func (r *Registry) proven() bool { return r.state.Upgrade != nil && r.state.Upgrade.Proven }

// tookOver notes the new program, and removes what only the one before needed.
func (r *Registry) tookOver(ctx context.Context) error {
	u := r.state.Upgrade
	u.Proven, u.Receipts = true, nil
	r.state.SchemaVersion, r.state.Program, r.state.Image = statedir.StateVersion, r.Version, r.site.image
	r.state.Engine, r.state.UID, r.state.GID = cmp.Or(r.site.engine, r.state.Engine), r.site.place.UID, r.site.place.GID
	if err := statedir.Save(r.Dir, r.state); err != nil {
		return err
	}
	gone, err := r.planOutdated(ctx)
	if err == nil {
		_, err = step.Run(ctx, r.site.host, gone, &statedir.Journal{Dir: r.Dir, State: &r.state})
	}
	if err != nil {
		return err
	}
	return r.forgetUpgrade()
}

// forgetUpgrade ends it: the copy before this one is needed no more, nor one that a
// killed try did not finish.
func (r *Registry) forgetUpgrade() error {
	for _, name := range []string{"regctl.old", "regctl.new"} {
		if err := os.Remove(r.Dir.Join("bin", name)); err != nil && !missing(err) {
			return err
		}
	}
	r.state.Upgrade = nil
	return statedir.Save(r.Dir, r.state)
}
