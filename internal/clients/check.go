package clients

import (
	"context"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// Check asks a host whether it is as Trust left it, and verifies it anew. It changes
// nothing. What Trust would change is drift, and so is a pull that fails although
// everything is in its place; the error says which.
func Check(ctx context.Context, h host.Host, w Wish) (Report, error) {
	failed := Report{Status: Failed}
	w.Options.Restart = true // nothing is restarted: it is planned only
	s, c, ledger, err := see(ctx, h, trust.Reads(), guess(w.Registry, w.Stores, w.Options))
	if err != nil {
		return failed, err
	}
	placed, err := trust.Plan(w.Registry, c, w.Stores, w.Options)
	if err != nil {
		return Report{Status: Drifted, Reached: true}, &DriftError{err}
	}
	plans, err := planEach(ctx, s, placed)
	if err != nil {
		return Report{Status: Drifted, Reached: true}, &DriftError{err}
	}
	report := Report{Reached: true, Stores: stores(plans, Drifted)}
	report.Status = whole(report.Stores)
	if late, _ := overdue(ledger, w.Options); len(late) > 0 {
		report.Status = Drifted
		text := "an earlier run was cut short: still to be done is " + late[0].Path
		return report, &DriftError{fault.Fail("regctl trust-clients --hosts "+h.Name()+" does it", "%s", text)}
	}
	err = prove(ctx, h, c, placed, w.Verify, &report)
	if report.Status == Drifted {
		return report, &DriftError{fault.Fail(mending(h.Name(), report.Stores, w.Options), "not as regctl left it: %s", strayed(report.Stores))}
	}
	if err != nil && ctx.Err() == nil {
		report.Status = Drifted
		err = &DriftError{err}
	}
	return report, err
}

// DriftError says how a host is not as Trust left it.
type DriftError struct{ error }

// Unwrap returns what was found.
func (e *DriftError) Unwrap() error { return e.error }

// mending is the command that puts a host right.
func mending(name string, all []Store, opts trust.Options) string {
	var stores, options string
	for _, s := range all {
		flag := " --store " + string(s.Store)
		switch {
		case s.Status != Drifted:
		case s.Store == trust.MapHost:
			options += " --map-host " + opts.MapHost
		case s.Store == trust.Mirror && !strings.Contains(options, " --as-mirror"):
			options += " --as-mirror"
		case slices.Contains(trust.Stores(), s.Store) && !strings.Contains(stores, flag):
			stores += flag
		}
	}
	return "regctl trust-clients --hosts " + name + stores + options + " mends it"
}

// strayed names the files that are not as they were left.
func strayed(all []Store) string {
	text := ""
	for _, s := range all {
		for _, item := range s.Items {
			if item.Diff == "" {
				continue
			}
			if text != "" {
				text += ", "
			}
			text += item.Target + map[host.Action]string{
				host.Create: " is missing", host.Change: " differs", host.Restart: " is due, since what runs is not as the file says",
			}[item.Action]
		}
	}
	return text
}
