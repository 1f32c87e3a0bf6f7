package clients

import (
	"context"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// undoTime is how long putting a host back may take after a failure.
const undoTime = time.Minute

// onHost is the journal of a client: its own ledger, so there is none here.
type onHost struct{}

// Begin implements step.Journal.
func (onHost) Begin([]host.Op, host.Facts) error { return nil }

// Commit implements step.Journal.
func (onHost) Commit([]host.Receipt) error { return nil }

// carryOut does all plans in one batch, which an interrupt does not cut. When an op
// fails, what was done before it is put back.
func carryOut(ctx context.Context, s *sight, plans []plan, overdue []host.Op) ([]host.Receipt, error) {
	all := step.Planned{Host: s, Seen: s.facts}
	for _, p := range plans {
		all.Changes = append(all.Changes, p.planned.Changes...)
	}
	if len(overdue) > 0 {
		all.Changes = append(all.Changes, step.Named{Step: "overdue", Change: step.Change{Ops: overdue}})
	}
	if all.Empty() {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	whole, cancel := fleet.Uninterrupted(ctx)
	defer cancel()
	receipts, err := step.Run(whole, s, all, onHost{})
	if err == nil {
		return receipts, nil
	}
	patient, stop := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer stop()
	if undo := step.Undo(patient, s.Host, receipts); undo != nil {
		hint := "run the same command again: it plans anew from what is there"
		if h := fault.Hint(err); h != "" {
			hint = h
		}
		return nil, fault.Fail(hint, "%w; and putting back what was done failed: %w", err, undo)
	}
	return nil, err
}
