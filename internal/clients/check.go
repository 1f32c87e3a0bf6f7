package clients

import (
	"context"

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
	s, c, _, err := see(ctx, h, guess(w.Registry, w.Stores, w.Options))
	if err != nil {
		return failed, err
	}
	placed, err := trust.Plan(w.Registry, c, w.Stores, w.Options)
	if err != nil {
		return Report{Status: Drifted, Reached: true}, err
	}
	plans, err := planEach(ctx, s, placed)
	if err != nil {
		return Report{Status: Drifted, Reached: true}, err
	}
	report := Report{Reached: true, Stores: stores(plans, Drifted)}
	report.Status = whole(report.Stores)
	err = prove(ctx, h, c, placed, w.Verify, &report)
	if report.Status == Drifted {
		return report, fault.Fail("regctl trust-clients --hosts "+h.Name()+" mends it", "not as regctl left it: %s", strayed(report.Stores))
	}
	if err != nil && ctx.Err() == nil {
		report.Status = Drifted
	}
	return report, err
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
			text += item.Target + map[host.Action]string{host.Create: " is missing", host.Change: " differs"}[item.Action]
		}
	}
	return text
}
