package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
)

func newLogs(a *app) *cobra.Command {
	var follow bool
	var tail int
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Print what the registry logged",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tail < 0 && cmd.Flags().Changed("tail") {
				return fault.Usage("for example --tail 100", "--tail cannot be %d", tail)
			}
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			if err := r.ConnectAside(cmd.Context()); err != nil {
				return err
			}
			err = r.Logs(cmd.Context(), follow, tail, a.ui.Out)
			if err == nil && cmd.Context().Err() != nil {
				return exitStatus(exitInterrupted) // the only end that -f has: nothing to tell
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now, until interrupted")
	cmd.Flags().IntVar(&tail, "tail", -1, "only the last N lines")
	return cmd
}
