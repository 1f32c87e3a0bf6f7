package cli

import (
	"fmt"
	"io"

	"github.com/regctl/regctl/internal/step"
)

// changesResult is what plan and every --dry-run print.
type changesResult struct {
	SchemaVersion int          `json:"schemaVersion"`
	Changes       []changeLine `json:"changes"`
}

type changeLine struct {
	Step   string `json:"step"`
	Target string `json:"target"`
	Action string `json:"action"`
	Diff   string `json:"diff"`
}

// showChanges prints a plan; text is a block for each file and a line for each
// other thing.
func (a *app) showChanges(planned step.Planned) error {
	result := changesResult{1, changeLines(planned)}
	return a.ui.Result(result, func(w io.Writer) {
		if len(result.Changes) == 0 {
			fmt.Fprintln(w, "nothing to do")
		}
		a.printChanges(w, result.Changes)
	})
}

func changeLines(planned step.Planned) []changeLine {
	lines := []changeLine{}
	for _, change := range planned.Changes {
		for _, item := range change.Items {
			lines = append(lines, changeLine{change.Step, item.Target, string(item.Action), item.Diff})
		}
	}
	return lines
}

func (a *app) printChanges(w io.Writer, lines []changeLine) {
	for _, c := range lines {
		fmt.Fprintf(w, "%s %s\n", c.Action, c.Target)
		if c.Diff != "" {
			a.ui.Diff(w, c.Diff)
		}
	}
}
