package step

import (
	"context"

	"github.com/regctl/regctl/internal/host"
)

// Planned is what a list of steps would do to a host.
type Planned struct {
	Host    host.Host
	Changes []Named // in the steps' order, without those that have nothing to do
	// Seen is what the plan was made from: the original of everything it changes.
	Seen host.Facts
}

// Named is the change that one step asks for.
type Named struct {
	Step string // its Name
	Change
}

// Empty reports whether there is nothing to do.
func (p Planned) Empty() bool { return len(p.Changes) == 0 }

// Items are the lines of the plan, in order.
func (p Planned) Items() []Item {
	var items []Item
	for _, c := range p.Changes {
		items = append(items, c.Items...)
	}
	return items
}

// Plan looks at the host once and asks each step what it would change. What hangs
// on something that the plan does not change is left out. Nothing is changed, and
// no value is made yet.
func Plan(ctx context.Context, h host.Host, steps []Step) (Planned, error) {
	var refs []host.Ref
	for _, s := range steps {
		refs = append(refs, s.Reads()...)
	}
	seen, err := h.Look(ctx, refs)
	if err != nil {
		return Planned{}, err
	}
	changes := make([]Named, 0, len(steps))
	for _, s := range steps {
		change, err := s.Plan(seen)
		if err != nil {
			return Planned{}, err // it names the thing itself
		}
		changes = append(changes, Named{s.Name(), change})
	}
	return Planned{Host: h, Changes: prune(changes), Seen: seen}, nil
}

// prune drops ops and items whose OnlyIf names nothing that the plan changes, and
// then steps with nothing left. An op that stays may be what another waits for.
func prune(changes []Named) []Named {
	touched := map[host.Ref]bool{}
	made := map[string]bool{} // targets of ops that are still to be made
	for _, c := range changes {
		if c.Make != nil {
			for _, item := range c.Items {
				made[item.Target] = true
			}
		}
	}
	stays := func(onlyIf []host.Ref) bool {
		for _, ref := range onlyIf {
			if touched[ref] || made[ref.Path] {
				return true
			}
		}
		return len(onlyIf) == 0
	}
	for again := true; again; {
		again = false
		for _, c := range changes {
			for _, op := range c.Ops {
				if !touched[op.Ref] && op.Action != host.Wait && stays(op.OnlyIf) {
					touched[op.Ref], again = true, true
				}
			}
		}
	}
	var kept []Named
	for _, c := range changes {
		c.Ops = keep(c.Ops, func(op host.Op) bool { return stays(op.OnlyIf) })
		c.Items = keep(c.Items, func(i Item) bool { return stays(i.OnlyIf) })
		if !c.Empty() {
			kept = append(kept, c)
		}
	}
	return kept
}

// keep leaves the step's own list as it is.
func keep[T any](all []T, ok func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if ok(one) {
			kept = append(kept, one)
		}
	}
	return kept
}
