package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
)

func newStart(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the registry, as regctl.yaml wants it",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return settled(func() error { return a.runStart(cmd.Context(), dryRun) })
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func (a *app) runStart(ctx context.Context, dryRun bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	changed, err := a.apply(ctx, r, applyOptions{command: "regctl start", dryRun: dryRun})
	if err != nil || dryRun {
		return err
	}
	a.sayBehind(r)
	return a.powered(r, changed, "it runs")
}

func newStop(a *app) *cobra.Command {
	return a.newPower(host.Stop, "stop", "Stop the registry; requests under way finish first")
}

func newRestart(a *app) *cobra.Command {
	return a.newPower(host.Restart, "restart", "Restart the registry, or start one that is stopped; requests under way finish first")
}

func (a *app) newPower(action host.Action, name, short string) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			r.Progress = func(what string) { a.ui.Say("%s", what) }
			if err := r.ConnectAside(ctx); err != nil {
				return err
			}
			planned, err := r.PlanPower(ctx, action)
			if err != nil {
				return err
			}
			if planned.Empty() && action == host.Restart { // it is meant to run
				return a.runStart(ctx, dryRun)
			}
			if dryRun {
				return a.showChanges(planned)
			}
			if planned.Empty() {
				return a.powered(r, false, "it does not run")
			}
			if err := r.Lock(ctx, a.flag.lockTimeout, "regctl "+name); err != nil {
				return err
			}
			if err := firstError(r.Power(ctx, planned), r.Unlock()); err != nil {
				return err
			}
			return a.powered(r, true, "")
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

type powerResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	Changed       bool   `json:"changed"`
}

// powered ends start, stop and restart; idle says why there was nothing to do.
func (a *app) powered(r *scenario.Registry, changed bool, idle string) error {
	if !changed {
		a.ui.Say("nothing to do: %s", idle)
	}
	return a.ui.Result(powerResult{1, r.Name(), changed}, func(io.Writer) {})
}
