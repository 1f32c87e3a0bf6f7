package step

import (
	"context"
	"errors"
	"slices"

	"github.com/regctl/regctl/internal/host"
)

// inverse says which action takes another back. Waiting needs no undoing; what was
// restarted is restarted once more, at the end, when its files are back.
var inverse = map[host.Action]host.Action{
	host.Create: host.Change, // of a thing that was there; of others, see inverseOf
	host.Change: host.Change,
	host.Remove: host.Create,
	host.Start:  host.Stop,
	host.Stop:   host.Start,
}

func inverseOf(r host.Receipt) (host.Action, bool) {
	switch r.Action {
	case host.Create, host.Change:
		if !r.Before.Exists {
			return host.Remove, true
		}
	}
	action, ok := inverse[r.Action]
	return action, ok
}

// Undo takes receipts back, the last first: each thing gets its bytes, mode and
// owner again, or is gone again. A file is ours whatever it holds by now; what is
// of another kind by now, or somebody else's, is left alone. A directory that
// holds something stays; see Left. Where one thing fails the
// others are still taken back, and the errors come joined.
func Undo(ctx context.Context, h host.Host, receipts []host.Receipt) error {
	ops := undoing(receipts)
	var errs []error
	for len(ops) > 0 {
		_, err := h.Do(ctx, ops)
		if err == nil {
			break
		}
		var failed *host.OpError
		if !errors.As(err, &failed) || ctx.Err() != nil {
			errs = append(errs, err)
			break
		}
		// Ours is gone if something else stands in its place, which stays.
		var foreign *host.ForeignError
		if ops[failed.Index].Action != host.Remove || !errors.As(err, &foreign) {
			errs = append(errs, err)
		}
		ops = ops[failed.Index+1:]
	}
	return errors.Join(errs...)
}

func undoing(receipts []host.Receipt) []host.Op {
	var ops, restarts []host.Op
	gone := map[host.Ref]bool{}
	for _, r := range slices.Backward(receipts) {
		if !r.Changed {
			continue
		}
		op := host.Op{Ref: r.Ref, Want: r.Before, Before: host.AnyBefore, Part: r.Part}
		if r.Action == host.Restart {
			op.Action = host.Restart
			restarts = append(restarts, op)
			continue
		}
		action, ok := inverseOf(r)
		if !ok {
			continue
		}
		op.Action = action
		if r.Kind == host.Edit {
			// Somebody else's file: not if they, or another part of ours, changed it since.
			op.Before = r.After
			if !r.Before.Edit.Has(r.Part) {
				op.Action = host.Remove
			}
		}
		gone[r.Ref] = !r.Before.Exists
		ops = append(ops, op)
	}
	for _, op := range restarts {
		if op.Want.Exists && !gone[op.Ref] {
			ops = append(ops, op)
		}
	}
	return ops
}

// Left names the things that the receipts made and that are still there, such as
// a directory that someone else has put a file into.
func Left(ctx context.Context, h host.Host, receipts []host.Receipt) ([]string, error) {
	var refs []host.Ref
	for _, r := range receipts {
		if r.Changed && !r.Before.Exists && r.Action != host.Restart {
			refs = append(refs, r.Ref)
		}
	}
	seen, err := h.Look(ctx, refs)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, ref := range refs {
		if seen[ref].Exists && seen[ref].Foreign == "" {
			left = append(left, ref.Path)
		}
	}
	return left, nil
}
