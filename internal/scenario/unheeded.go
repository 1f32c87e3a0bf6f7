package scenario

import (
	"context"
	"slices"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// planUnheeded adds to a plan what is restarted before it is carried out, because a
// command was killed over that.
func (r *Registry) planUnheeded(ctx context.Context, planned step.Planned) (step.Planned, error) {
	restarts, err := statedir.Unheeded(ctx, r.Dir, r.site.host)
	for _, op := range restarts {
		if slices.ContainsFunc(planned.Changes, func(c step.Named) bool {
			return slices.ContainsFunc(c.Ops, func(o host.Op) bool { return o.Ref == op.Ref })
		}) {
			continue
		}
		item := step.Item{Target: r.site.describe(op), Action: host.Restart, Diff: "(a command was killed before it did so, or is at it now)\n"}
		planned.Changes = append(planned.Changes, step.Named{Step: op.Ref.String(), Change: step.Change{Items: []step.Item{item}}})
	}
	return planned, err
}
