package clients

import (
	"context"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// Untrust takes back what regctl did on a host for a registry, under each of its
// addresses, by the host's own ledger. A host without anything of ours is unchanged.
func Untrust(ctx context.Context, h host.Host, addresses []string, opts trust.Options, dryRun bool) (Report, error) {
	failed := Report{Status: Failed}
	s, c, ledger, err := see(ctx, h, trust.Reads(), nil)
	if err != nil {
		return failed, err
	}
	failed.Reached = true
	placed, err := trust.Undo(c, ledger, addresses, opts)
	if err != nil {
		return failed, err
	}
	plans, err := planEach(ctx, s, placed)
	if err != nil {
		return failed, err
	}
	report := Report{Reached: true, Stores: stores(plans, Changed)}
	report.Status = whole(report.Stores)
	late, pending := overdue(ledger, opts)
	report.Warnings = appendNew(report.Warnings, pending...)
	if len(late) > 0 {
		report.Status = Changed
	}
	if dryRun {
		return report, nil
	}
	receipts, err := carryOut(ctx, s, plans, late)
	if err != nil {
		return failed, err
	}
	for _, r := range receipts {
		inner := func(o host.Receipt) bool { return o.Note == r.Note && strings.HasPrefix(o.Path, r.Path+"/") }
		if r.Note != "" && !slices.ContainsFunc(receipts, inner) { // what holds a folder that stays is no news
			report.Warnings = appendNew(report.Warnings, r.Path+": "+r.Note)
		}
	}
	return report, nil
}
