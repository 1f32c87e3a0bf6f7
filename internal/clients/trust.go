package clients

import (
	"context"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// Wish is what is asked of a client.
type Wish struct {
	Registry trust.Registry
	// Former are other addresses that the registry had when the client came to trust
	// it; what was placed for them goes.
	Former  []string
	Stores  []trust.Store // none means those of the runtimes that are there
	Options trust.Options
	DryRun  bool
	// Verify says how to prove it; nil is not at all.
	Verify *verify.Target
}

// proven reports whether a client's own runtimes are to prove it.
func (w Wish) proven() bool { return w.Verify != nil && w.Verify.Mode != verify.None }

// Trust has a host trust the registry. An error means that it does not: nothing was
// changed, unless the error says otherwise. A host that could not be verified is left
// as it was made, with the report saying so beside the error.
func Trust(ctx context.Context, h host.Host, w Wish) (Report, error) {
	failed := Report{Status: Failed}
	refs, guessed := trust.ReadsFor(w.Stores, w.Options, w.proven()), guess(w.Registry, w.Stores, w.Options)
	s, c, ledger, err := see(ctx, h, refs, guessed)
	if err != nil {
		return failed, err
	}
	failed.Reached = true
	var gone []Store
	if !w.Options.Beside {
		gone, err = retire(ctx, s, ledger, w)
	}
	if err != nil {
		return failed, err
	}
	if len(gone) > 0 && !w.DryRun { // the files are others now
		if s, c, ledger, err = see(ctx, h, refs, guessed); err != nil {
			return failed, err
		}
	}
	placed, err := trust.Plan(w.Registry, c, w.Stores, w.Options)
	if err != nil {
		return failed, err
	}
	plans, err := planEach(ctx, s, placed)
	if err != nil {
		return failed, err
	}
	report := Report{Reached: true, AsLogin: !w.DryRun && c.UID != 0, Stores: append(gone, stores(plans, Changed)...)}
	report.Status = whole(report.Stores)
	for _, p := range placed {
		report.Warnings = appendNew(report.Warnings, p.Warnings...)
	}
	late, pending := overdue(ledger, w.Options)
	report.Warnings = appendNew(report.Warnings, pending...)
	if len(late) > 0 {
		report.Status = Changed
	}
	if w.DryRun {
		return report, nil
	}
	if _, err := carryOut(ctx, s, plans, late); err != nil {
		return failed, err
	}
	return report, prove(ctx, h, c, placed, w.Verify, &report)
}

// retire takes out what was placed for the registry as it was before: under another
// address, or before it changed between plain HTTP and TLS, or to
// a public CA.
func retire(ctx context.Context, s *sight, ledger []host.Entry, w Wish) ([]Store, error) {
	former := slices.DeleteFunc(slices.Clone(w.Former), func(a string) bool { return a == w.Registry.Address() })
	outdated := slices.DeleteFunc(slices.Clone(ledger), func(e host.Entry) bool { return !outdated(e, w.Registry, former) })
	if len(outdated) == 0 {
		return nil, nil
	}
	// What goes may be of other stores than those that are wished for.
	if _, err := s.Look(ctx, trust.Reads()); err != nil {
		return nil, err
	}
	c := trust.SeenClient(s.facts)
	placed, err := trust.Undo(c, outdated, append(former, w.Registry.Address()), w.Options)
	if err != nil {
		return nil, err
	}
	plans, err := planEach(ctx, s, placed)
	if err != nil {
		return nil, err
	}
	all := stores(plans, Changed)
	for i := range all {
		all[i].Gone = true
	}
	if w.DryRun {
		return all, nil
	}
	_, err = carryOut(ctx, s, plans, nil)
	return all, err
}

// outdated reports whether an entry of the ledger is of a form that the registry has
// no more.
func outdated(e host.Entry, r trust.Registry, former []string) bool {
	registry, store := trust.PartOf(e.Part)
	if slices.Contains(former, registry) {
		return true
	}
	if registry != r.Address() || e.Kind == host.Dir {
		return false
	}
	public := !r.Plain && len(r.CA) == 0
	switch store {
	case trust.Insecure, trust.Legacy:
		return !r.Plain
	case trust.OS:
		return r.Plain || public || r.Surplus(e.Path)
	case trust.Docker, trust.Rootless, trust.Podman:
		return r.Plain || public
	case trust.Containerd, trust.K3s, trust.BuildKit:
		return public
	}
	return false
}

// prove verifies what was placed and notes it in the report.
func prove(ctx context.Context, h host.Host, c trust.Client, placed []trust.Placement, how *verify.Target, report *Report) error {
	if how == nil || how.Mode == verify.None {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	outcomes := verify.Client(ctx, h, c, placed, *how)
	verified := len(outcomes) > 0
	var failure error
	var by []string
	for _, o := range outcomes {
		verified = verified && o.Verified
		if o.Err != nil && failure == nil {
			failure = fault.Fail(fault.Hint(o.Err), "%s: %w", o.Store, o.Err)
		}
		if o.Verified {
			by = appendNew(by, o.By)
		}
		for i := range report.Stores {
			if report.Stores[i].Store == o.Store && report.Stores[i].Path == o.Path {
				if o.Verified {
					report.Stores[i].VerifiedBy = o.By
				}
				report.Stores[i].Note = o.Note
			}
		}
	}
	report.Verified, report.VerifiedBy = &verified, strings.Join(by, ", ")
	return failure
}

func appendNew(list []string, more ...string) []string {
	for _, s := range more {
		if s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
