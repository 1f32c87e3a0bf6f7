package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newHelp is the command for those who type help where others type --help.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Print what --help prints",
		Hidden: true,
		RunE: func(cmd *cobra.Command, given []string) error {
			about, rest, err := cmd.Root().Find(given)
			if err != nil || len(rest) > 0 {
				return &usageError{fmt.Errorf("there is no command regctl %s", strings.Join(given, " ")), "regctl --help lists the commands"}
			}
			return about.Help()
		},
	}
}

// flagError tells what is wrong with a flag in our words, and of an unknown one
// which it may have been.
func flagError(cmd *cobra.Command, err error) error {
	hint := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &value):
		err = fmt.Errorf("--%s cannot be %q", value.GetFlag().Name, value.GetValue())
		hint = fmt.Sprintf("%s --help says what --%s takes", cmd.CommandPath(), value.GetFlag().Name)
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		known := map[string]bool{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = !f.Hidden })
		if near := nearest(unknown.GetSpecifiedName(), known); near != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", near, hint)
		}
	}
	return &usageError{err, hint}
}
