package cli

import (
	"bytes"
	"io"

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
			return a.printText(func(w io.Writer) error {
				switch root := cmd.Root(); given[0] {
				case "bash":
					return root.GenBashCompletionV2(w, true)
				case "zsh":
					return root.GenZshCompletion(w)
				case "fish":
					return root.GenFishCompletion(w, true)
				default:
					return root.GenPowerShellCompletionWithDesc(w)
				}
			})
		},
	}
}

// printText prints what has a form of its own: as it is, or as a string inside JSON or
// YAML.
func (a *app) printText(write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	return a.ui.Result(exportResult{1, text.String()}, func(w io.Writer) { _, _ = w.Write(text.Bytes()) })
}
