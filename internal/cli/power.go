package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/host"
)

func newStart(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the registry, as regctl.yaml wants it",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			changed, err := a.apply(cmd.Context(), r, applyOptions{command: "regctl start", dryRun: dryRun})
			if err == nil && !dryRun && !changed {
				a.ui.Say("nothing to do: it runs")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func newStop(a *app) *cobra.Command {
	return a.newPower(host.Stop, "stop", "Stop the registry; requests under way finish first")
}

func newRestart(a *app) *cobra.Command {
	return a.newPower(host.Restart, "restart", "Restart the registry; requests under way finish first")
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
			if err := r.Connect(ctx); err != nil {
				return err
			}
			planned, err := r.PlanPower(ctx, action)
			if err != nil {
				return err
			}
			if dryRun {
				return a.showChanges(planned)
			}
			if planned.Empty() {
				a.ui.Say("nothing to do: it does not run")
				return nil
			}
			if err := r.Lock(ctx, a.flag.lockTimeout, "regctl "+name); err != nil {
				return err
			}
			return firstError(r.Power(ctx, planned), r.Unlock())
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}
