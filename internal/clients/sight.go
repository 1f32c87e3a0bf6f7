package clients

import (
	"context"
	"slices"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/trust"
)

// sight is a host with what has been seen of it, which is not asked for again.
type sight struct {
	host.Host
	facts host.Facts
}

// Look implements host.Host.
func (s *sight) Look(ctx context.Context, refs []host.Ref) (host.Facts, error) {
	unseen := slices.DeleteFunc(slices.Clone(refs), func(ref host.Ref) bool { _, ok := s.facts[ref]; return ok })
	if len(unseen) > 0 {
		more, err := s.Host.Look(ctx, unseen)
		if err != nil {
			return nil, err
		}
		for ref, fact := range more {
			s.facts[ref] = fact
		}
	}
	seen := make(host.Facts, len(refs))
	for _, ref := range refs {
		seen[ref] = s.facts[ref]
	}
	return seen, nil
}

// see looks at a host: what it is (of refs, which ReadsFor lists), what regctl has placed
// there, and what guessed steps will read, so that a host that is as expected is looked
// at once.
func see(ctx context.Context, h host.Host, refs, guessed []host.Ref) (*sight, trust.Client, []host.Entry, error) {
	s := &sight{h, host.Facts{}}
	seen, err := s.Look(ctx, slices.Concat(refs, []host.Ref{host.LedgerRef()}, guessed))
	if err != nil {
		return nil, trust.Client{}, nil, err
	}
	return s, trust.SeenClient(seen), host.ParseLedger(seen[host.LedgerRef()]), nil
}

// guess is what the steps of a usual client read: root's, with Docker where no store
// is named.
func guess(r trust.Registry, stores []trust.Store, opts trust.Options) []host.Ref {
	usual := trust.Client{Machine: host.Machine{Tools: map[string]string{"docker": "docker", "dockerd": "dockerd"}}}
	login := opts.Login != nil
	opts.Restart, opts.Login = true, nil
	placed, err := trust.Plan(r, usual, stores, opts)
	var refs []host.Ref // none on an error: the host itself will say why
	if err != nil {
		placed = nil
	}
	for _, p := range placed {
		for _, s := range p.Steps {
			refs = append(refs, s.Reads()...)
		}
	}
	if login {
		refs = append(refs, trust.LoginReads()...)
	}
	return refs
}

// plan is a placement with what it would change.
type plan struct {
	trust.Placement
	planned step.Planned
}

// planEach plans every placement, or none.
func planEach(ctx context.Context, s *sight, placed []trust.Placement) ([]plan, error) {
	plans := make([]plan, 0, len(placed))
	for _, p := range placed {
		planned, err := step.Plan(ctx, s, p.Steps)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan{p, planned})
	}
	return plans, nil
}
