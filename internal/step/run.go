package step

import (
	"context"
	"errors"
	"fmt"

	"github.com/regctl/regctl/internal/host"
)

// Journal keeps a batch recoverable. Begin has it on disk, wanted values and
// originals included, before the first op is carried out; Commit has the outcome
// on disk and ends the batch.
type Journal interface {
	Begin(ops []host.Op, before host.Facts) error
	Commit(receipts []host.Receipt) error
}

// Run carries a plan out in one batch. When an op fails, those before it stay
// done: their receipts are committed and returned with the error, and the caller
// decides between Undo and keeping them.
func Run(ctx context.Context, h host.Host, planned Planned, journal Journal) ([]host.Receipt, error) {
	ops, err := makeOps(ctx, planned)
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	before, err := originals(ctx, h, ops, planned.Seen)
	if err != nil {
		return nil, err
	}
	if err := journal.Begin(ops, before); err != nil {
		return nil, err
	}
	receipts, err := h.Do(ctx, ops)
	return receipts, errors.Join(err, journal.Commit(receipts))
}

// makeOps lists the plan's ops; the values that are made once are made here.
func makeOps(ctx context.Context, planned Planned) ([]host.Op, error) {
	var ops []host.Op
	for _, c := range planned.Changes {
		if c.Make == nil {
			ops = append(ops, c.Ops...)
			continue
		}
		made, err := c.Make(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Step, err)
		}
		ops = append(ops, made...)
	}
	return ops, nil
}

// originals are the facts of everything that ops change. A made op may name a
// thing that no step has read.
func originals(ctx context.Context, h host.Host, ops []host.Op, seen host.Facts) (host.Facts, error) {
	before := host.Facts{}
	var unseen []host.Ref
	for _, op := range ops {
		if op.Kind == host.Act {
			continue // it is a deed, not a thing
		}
		fact, ok := seen[op.Ref]
		if !ok {
			unseen = append(unseen, op.Ref)
			continue
		}
		before[op.Ref] = fact
	}
	if len(unseen) == 0 {
		return before, nil
	}
	more, err := h.Look(ctx, unseen)
	if err != nil {
		return nil, err
	}
	for ref, fact := range more {
		before[ref] = fact
	}
	return before, nil
}
