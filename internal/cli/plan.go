package cli

import (
	"github.com/spf13/cobra"
)

func newPlan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would change; exit status 4 when something would",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			changes, err := a.apply(cmd.Context(), r, applyOptions{dryRun: true})
			if err == nil {
				a.sayBehind(r)
			}
			if err == nil && changes {
				return exitStatus(exitDifferent)
			}
			return err
		},
	}
}
