package scenario

import (
	"context"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// ConnectAside is Connect for what is no concern of a proxy: one that is broken keeps
// nobody from stopping the registry, or from reading its log.
func (r *Registry) ConnectAside(ctx context.Context) error {
	r.aside = true
	return r.Connect(ctx)
}

// PlanPower plans to stop or restart what runs, or to start what was stopped, as it
// is. What does not run is not restarted.
func (r *Registry) PlanPower(ctx context.Context, action host.Action) (step.Planned, error) {
	steps := []step.Step{power{r.site.runs, r.site.want, action, r.site.isRunning}}
	switch r.Spec.Runtime {
	case spec.RuntimeSwarm:
		steps = append(steps, r.rolled(nil, action == host.Restart))
	case spec.RuntimeDocker:
		steps = nil
		for n := 1; n <= r.Spec.Count(); n++ { // one at a time, so that the proxy always finds one
			steps = append(steps, power{replicaRef(r.Spec, n), host.Fact{}, action, r.site.isRunning})
			if action != host.Stop {
				steps = append(steps, replicaWait(r.Spec, n))
			}
		}
	}
	return step.Plan(ctx, r.site.host, steps)
}

// Power carries out what PlanPower planned.
func (r *Registry) Power(ctx context.Context, planned step.Planned) error {
	r.watch()
	_, err := step.Run(ctx, r.site.host, planned, &statedir.Journal{Dir: r.Dir, State: &r.state})
	return err
}

// power starts, stops or restarts one container, process or unit.
type power struct {
	ref     host.Ref
	want    host.Fact
	action  host.Action
	running func(host.Fact) bool
}

func (p power) Name() string      { return p.ref.String() }
func (p power) Reads() []host.Ref { return []host.Ref{p.ref} }

func (p power) Plan(seen host.Facts) (step.Change, error) {
	now := seen[p.ref]
	runs := now.Exists && p.running(now)
	if now.Foreign != "" || runs == (p.action == host.Start) {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: p.ref.String(), Action: p.action}},
		Ops:   []host.Op{{Ref: p.ref, Action: p.action, Want: p.want, Before: now.Hash()}},
	}, nil
}
