package scenario

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// takeBack puts back what an upgrade changed that led to failed.
func (r *Registry) takeBack(ctx context.Context, again bool, from, to Release, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.undoTime())
	defer cancel()
	if r.Progress != nil {
		r.Progress("putting back what was changed")
	}
	did := r.state.Upgrade.Receipts
	if err := step.Undo(ctx, r.site.host, did); err != nil {
		return errors.Join(failed, fault.Fail("run the same command again", "putting %s back: %w", from, err))
	}
	if err := r.unmerge(ctx, did); err != nil {
		return errors.Join(failed, err)
	}
	// What was started before its files were back reads them now. Of a try that was
	// killed nobody knows what it restarted. A service of a swarm was made to follow.
	if !r.Spec.Swarmed() && (again || slices.ContainsFunc(did, func(d host.Receipt) bool { return d.Kind == host.File })) {
		if err := r.turn(ctx, host.Restart); err != nil {
			return errors.Join(failed, err)
		}
	}
	if err := r.forgetUpgrade(); err != nil {
		return errors.Join(failed, err)
	}
	running, err := r.runs(ctx)
	hint := cmp.Or(fault.Hint(failed), "nothing is left of it; try another build of regctl")
	switch {
	case err == nil && !running:
		return fault.Fail(hint, "%s did not take over, and %s is back as it was: %w", to, from, failed)
	case err == nil:
		err = r.awaitAnswer(ctx)
	}
	if err != nil {
		return errors.Join(failed, fault.Fail("regctl logs and regctl doctor tell more", "%s was put back, and does not answer either: %w", from, err))
	}
	return fault.Fail(hint, "%s did not take over, and %s serves again: %w", to, from, failed)
}

// unmerge has the state's receipts say how things are now that those were undone.
func (r *Registry) unmerge(ctx context.Context, undone []host.Receipt) error {
	var refs []host.Ref
	for _, receipt := range undone {
		refs = append(refs, receipt.Ref)
	}
	seen, err := r.site.host.Look(ctx, refs)
	if err != nil {
		return err
	}
	var now []host.Receipt
	for _, receipt := range undone {
		receipt.Action, receipt.After = host.Change, seen[receipt.Ref].Hash()
		now = append(now, receipt)
	}
	r.state.Receipts = step.Merge(r.state.Receipts, now)
	return statedir.Save(r.Dir, r.state)
}
