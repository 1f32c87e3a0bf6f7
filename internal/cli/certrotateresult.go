package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fault"
)

// rotationResult is what cert rotate-ca prints.
type rotationResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	// Phase is where it stands: done, or what it could not end: spreading, withdrawing.
	Phase         string         `json:"phase"`
	CAFingerprint string         `json:"caFingerprint"` // of the CA in force, SHA-256
	Skipped       []string       `json:"skipped"`       // hosts that do not trust it
	Results       []clientResult `json:"results"`       // of the last round over the hosts
}

func (a *app) showRotation(x *rotation, done bool) error {
	result := rotationResult{1, x.r.Name(), string(x.r.Rotation()), x.r.CAFingerprint(), append([]string{}, x.skipped...), summarize(x.results, false).Results}
	if done {
		result.Phase = "done"
	}
	for _, one := range x.results {
		if one.Err != nil {
			a.ui.Error(one.Err)
		}
	}
	for _, w := range commonWarnings(x.results) {
		a.ui.Warn("%s", w)
	}
	if done && len(x.skipped) > 0 {
		a.ui.Warn("left behind: %s; regctl trust-clients --hosts %s has them trust the new CA", strings.Join(x.skipped, ", "), strings.Join(x.skipped, ","))
	}
	return a.ui.Result(result, func(w io.Writer) {
		if done {
			fmt.Fprintf(w, "%s has a new CA, SHA-256 %s; %d %s it\n", x.r.Spec.Endpoint(), result.CAFingerprint, len(x.hosts)-len(x.skipped), trusting(len(x.hosts)-len(x.skipped)))
		}
	})
}

// notReady is why a rotation does not go on.
func (x *rotation) notReady(failed []clients.Result, text string) error {
	var names []string
	reached := false
	for _, f := range failed {
		names = append(names, f.Host)
		reached = reached || f.Report.Reached
	}
	hint := "mend that and run the same command again"
	if !reached {
		hint += "; or leave them behind with --skip-unreachable"
	}
	be := "are"
	if len(names) == 1 {
		be = "is"
	}
	return &stopped{fault.Fail(hint, text, strings.Join(names, ", "), be)}
}
