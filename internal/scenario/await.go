package scenario

import (
	"context"
	"fmt"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Await waits until a registry that is as wanted answers: the command that
// started it may have been killed before it did. One that does not answer in time
// is an error. Of a change that was killed at its end it notes that it was made.
func (r *Registry) Await(ctx context.Context) error {
	if err := r.awaitAnswer(ctx); err != nil {
		return err
	}
	now := r.state
	now.TLS, now.PublicCA, now.Address = r.forState()
	if now.TLS == r.state.TLS && now.PublicCA == r.state.PublicCA && now.Address == r.state.Address {
		return nil
	}
	r.state = now
	return statedir.Save(r.Dir, r.state)
}

// forState is what state.json says of what clients must know, once it is applied.
func (r *Registry) forState() (mode string, publicCA bool, address string) {
	return r.Spec.TLS.Mode, r.PublicCA(), r.Spec.Address()
}

func (r *Registry) awaitAnswer(ctx context.Context) error {
	if r.NoStart || r.answers(ctx) && r.isRolled(ctx) {
		return nil
	}
	if r.Progress != nil {
		r.Progress(fmt.Sprintf("waiting for %s to answer", r.Spec.Endpoint()))
	}
	var wait step.Step = engine.WaitStep{Endpoint: ownEndpoint(r.Spec), Container: r.site.runs.Path}
	if r.Spec.Swarmed() {
		rolled := r.rolled(nil, false)
		rolled.After = nil
		wait = rolled
	}
	change, err := wait.Plan(nil)
	if err != nil {
		return err
	}
	_, err = r.site.host.Do(ctx, change.Ops)
	return err
}
