package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/scenario"
)

type doctorResult struct {
	SchemaVersion int                `json:"schemaVersion"`
	Checks        []scenario.Finding `json:"checks"`
}

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with the registry, and say what mends it",
		Long: `Look for what is wrong with the registry, and say what mends it: the runtime, the
settings against the machine, the registry's own answer, certificate and renewal,
and the hosts that trust it. It changes nothing. Exit status 1 if a check failed.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			found := r.Examine(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := a.ui.Result(doctorResult{1, found}, func(w io.Writer) { printFindings(w, found) }); err != nil {
				return err
			}
			return verdictOf(found)
		},
	}
}

func printFindings(w io.Writer, found []scenario.Finding) {
	for _, f := range found {
		fmt.Fprintf(w, "%-7s  %-11s  %s\n", f.Status, f.Check, f.Detail)
		if f.Hint != "" {
			fmt.Fprintf(w, "%-7s  %-11s  hint: %s\n", "", "", f.Hint)
		}
	}
}

func verdictOf(found []scenario.Finding) error {
	failed := 0
	for _, f := range found {
		if f.Status == scenario.CheckFailed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fault.Fail("each has its hint above", "%d %s failed", failed, plural(failed, "check"))
}
