package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
)

type validateResult struct {
	SchemaVersion int                  `json:"schemaVersion"`
	File          string               `json:"file"`
	Findings      []distconfig.Finding `json:"findings"`
}

func newConfigValidate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Name every key of a config.yml that distribution would refuse or silently ignore",
		Long: `Name every key of a config.yml that distribution would refuse or silently
ignore, with its line and where it belongs. Exit status 2 when there is one.
FILE may be - for standard input.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error { return a.validateConfig(given[0]) },
	}
}

func (a *app) validateConfig(file string) error {
	data, err := a.readInput(file)
	if err != nil {
		return err
	}
	findings, err := distconfig.Validate(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	result := validateResult{1, file, append([]distconfig.Finding{}, findings...)}
	err = a.ui.Result(result, func(w io.Writer) {
		for _, f := range findings {
			fmt.Fprintf(w, "%s:%s\n", file, f)
		}
	})
	if err != nil {
		return err
	}
	if n := len(findings); n > 0 {
		return fault.Usage("mend the file; regctl config import "+file+" makes a regctl.yaml of it with what is misplaced in its place",
			"%s: %d %s that distribution would refuse or ignore", file, n, plural(n, "setting"))
	}
	a.ui.Say("%s: distribution reads every key of it", file)
	return nil
}

// readInput reads a file that the operator named; - is standard input.
func (a *app) readInput(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(a.ui.In)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Usage("give the path of a file that you may read", "%w", err)
	}
	return data, nil
}
