package cli

import (
	"github.com/spf13/cobra"
)

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long: `Print a completion script for a shell. For bash, for example:

    regctl completion bash > /etc/bash_completion.d/regctl`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, given []string) error {
			switch root := cmd.Root(); given[0] {
			case "bash":
				return root.GenBashCompletionV2(a.ui.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.ui.Out)
			case "fish":
				return root.GenFishCompletion(a.ui.Out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(a.ui.Out)
			}
		},
	}
}
