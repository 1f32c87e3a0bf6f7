package cli

import "github.com/spf13/cobra"

func newImage(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build a registry image with its configuration in it",
		Args:  args(cobra.NoArgs), // an unknown subcommand
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImageBuild(a))
	return cmd
}
