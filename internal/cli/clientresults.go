package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
)

// clientsResult is what trust-clients, untrust-clients and clients check print.
type clientsResult struct {
	SchemaVersion int            `json:"schemaVersion"`
	Results       []clientResult `json:"results"`
	Summary       clientsSummary `json:"summary"`
}

type clientResult struct {
	Host       string        `json:"host"`
	Status     string        `json:"status"` // changed, unchanged, failed; of a check also drifted
	Stores     []storeResult `json:"stores"`
	Verified   *bool         `json:"verified"` // null when it was not asked for
	VerifiedBy string        `json:"verifiedBy"`
	Error      string        `json:"error,omitempty"`
	Hint       string        `json:"hint,omitempty"`
	DurationMs int64         `json:"durationMs"`
}

type storeResult struct {
	Store      string `json:"store"`
	Path       string `json:"path"`
	Status     string `json:"status"`
	Pending    string `json:"pending,omitempty"`
	VerifiedBy string `json:"verifiedBy,omitempty"`
	Note       string `json:"note,omitempty"`
	Diff       string `json:"diff,omitempty"`
}

type clientsSummary struct {
	Hosts     int `json:"hosts"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Drifted   int `json:"drifted,omitempty"`
}

// summarize turns a run's results into what is printed. Diffs are shown of what is
// not done: a dry run, and drift.
func summarize(results []clients.Result, diffs bool) clientsResult {
	all := clientsResult{SchemaVersion: 1, Results: []clientResult{}}
	for _, r := range results {
		one := clientResult{
			Host: r.Host, Status: string(r.Report.Status), Stores: []storeResult{},
			Verified: r.Report.Verified, VerifiedBy: r.Report.VerifiedBy, DurationMs: r.Duration.Milliseconds(),
		}
		if r.Err != nil {
			one.Error, one.Hint = r.Err.Error(), fault.Hint(r.Err)
		}
		for _, s := range r.Report.Stores {
			store := storeResult{
				Store: string(s.Store), Path: s.Path, Status: string(s.Status), Pending: s.Pending, VerifiedBy: s.VerifiedBy, Note: s.Note,
			}
			if diffs && s.Status != clients.Unchanged {
				store.Diff = s.Diff()
			}
			one.Stores = append(one.Stores, store)
		}
		all.Results = append(all.Results, one)
		all.Summary.Hosts++
		switch r.Report.Status {
		case clients.Changed:
			all.Summary.Changed++
		case clients.Unchanged:
			all.Summary.Unchanged++
		case clients.Drifted:
			all.Summary.Drifted++
		default:
			all.Summary.Failed++
		}
	}
	return all
}

// status is the exit status that the results come to.
func (c clientsResult) status(ctx context.Context) error {
	switch s := c.Summary; {
	case ctx.Err() != nil:
		return exitStatus(exitInterrupted)
	case s.Drifted > 0:
		return exitStatus(exitDifferent)
	case s.Failed == 0:
		return nil
	case s.Failed == s.Hosts:
		return exitStatus(exitFailed)
	}
	return exitStatus(exitPartly)
}

// showClients prints results: a table on stdout, and of what failed the causes, each
// with its hint.
func (a *app) showClients(ctx context.Context, results []clients.Result, dryRun, check bool) error {
	all := summarize(results, dryRun || check)
	if err := a.ui.Result(all, func(w io.Writer) { a.printClients(w, all, dryRun) }); err != nil {
		return err
	}
	for _, warning := range commonWarnings(results) {
		a.ui.Warn("%s", warning)
	}
	for _, r := range results {
		if r.Err != nil {
			a.ui.Error(r.Err)
		}
	}
	return all.status(ctx)
}

func (a *app) printClients(w io.Writer, all clientsResult, dryRun bool) {
	changed := string(clients.Changed)
	if dryRun {
		changed = "would change"
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tSTATUS\tSTORE\tVERIFIED\tPATH")
	for _, r := range all.Results {
		if r.Status == string(clients.Changed) {
			r.Status = changed
		}
		if len(r.Stores) == 0 {
			fmt.Fprintf(table, "%s\t%s\t-\t-\t-\n", r.Host, r.Status)
		}
		for _, s := range r.Stores {
			proof := orDash(s.VerifiedBy)
			if s.Pending != "" {
				proof += " (" + s.Pending + ")"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Host, r.Status, s.Store, proof, s.Path)
		}
	}
	_ = table.Flush() // its errors are the writer's own
	for _, r := range all.Results {
		for _, s := range r.Stores {
			if s.Diff != "" {
				fmt.Fprintf(w, "\n%s:\n", r.Host)
				a.ui.Diff(w, s.Diff)
			}
		}
	}
	fmt.Fprintln(w, all.Summary.line(changed))
}

// line is the last of the table.
func (s clientsSummary) line(changed string) string {
	text := fmt.Sprintf("%d %s: %d %s, %d unchanged", s.Hosts, plural(s.Hosts, "host"), s.Changed, changed, s.Unchanged)
	if s.Drifted > 0 {
		text += fmt.Sprintf(", %d drifted", s.Drifted)
	}
	return text + fmt.Sprintf(", %d failed", s.Failed)
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// commonWarnings are the hosts' warnings, each once, with those it holds for.
func commonWarnings(results []clients.Result) []string {
	var order []string
	hosts := map[string][]string{}
	for _, r := range results {
		for _, w := range r.Report.Warnings {
			if hosts[w] == nil {
				order = append(order, w)
			}
			hosts[w] = append(hosts[w], r.Host)
		}
	}
	for i, w := range order {
		on := hosts[w]
		if len(on) > 3 {
			on = append(on[:2:2], fmt.Sprintf("%d more", len(on)-2))
		}
		order[i] = strings.Join(on, ", ") + ": " + w
	}
	return order
}

// progress tells of each host as it ends.
func (a *app) progress(verb string) (tell func(fleet.Event), end func()) {
	end = a.ui.Live()
	failed := 0
	return func(e fleet.Event) {
		if e.Ended {
			what := "done"
			var drift *clients.DriftError
			switch {
			case errors.As(e.Err, &drift):
				what = "drifted"
			case e.Err != nil:
				what = "failed"
				failed++
			}
			a.ui.Say("%s: %s (%.1f s)", e.Host, what, e.Duration.Seconds())
		}
		line := fmt.Sprintf("%s: %d of %d %s", verb, e.Done, e.Total, plural(e.Total, "host"))
		if failed > 0 {
			line += fmt.Sprintf(", %d failed", failed)
		}
		a.ui.Follow("%s", line)
	}, end
}
