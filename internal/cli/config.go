package cli

import (
	"github.com/spf13/cobra"
)

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Render, check or import distribution's config.yml",
		Args:  args(cobra.NoArgs), // an unknown subcommand
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigRender(a), newConfigValidate(a), newConfigImport(a))
	return cmd
}
