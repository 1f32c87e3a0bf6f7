package cli

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print regctl(1), or write a manual page for each command into DIR",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			header := &doc.GenManHeader{Title: "REGCTL", Section: "1", Source: "regctl " + a.sys.Version}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if len(given) == 0 {
				return a.printText(func(w io.Writer) error { return doc.GenMan(root, header, w) })
			}
			if err := os.Mkdir(given[0], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
			header.Title = ""
			return doc.GenManTree(root, header, given[0])
		},
	}
}
