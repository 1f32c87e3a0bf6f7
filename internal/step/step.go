// Package step is the shape of everything regctl does to a machine: a step names
// what it must see, plans a change from what was seen, and the host carries the
// change out. Dry runs, idempotence, undo and crash recovery are written here,
// once, for all of them.
package step

import (
	"context"

	"github.com/regctl/regctl/internal/host"
)

// Step is one thing that ought to be so on a host.
type Step interface {
	// Name is short and stable, for example "container registry".
	Name() string
	// Reads lists what Plan must see; all steps' reads are fetched in one Look.
	Reads() []host.Ref
	// Plan compares what was seen with what ought to be. It is pure: no I/O, no
	// clock, no randomness. A Change without Items means nothing to do.
	Plan(seen host.Facts) (Change, error)
}

// Change is what a step would do.
type Change struct {
	Items []Item
	Ops   []host.Op
	// Make, when set, produces the ops at apply time in place of Ops: it is how
	// values that must be made once (keys, secrets) come to be. A dry run never
	// calls it; Run calls it once, before the journal is written, so that a
	// crash later does not make them anew.
	Make func(context.Context) ([]host.Op, error)
}

// Empty reports whether there is nothing to do.
func (c Change) Empty() bool { return len(c.Items) == 0 && len(c.Ops) == 0 && c.Make == nil }

// Item is one line of a plan, for people: what would happen to which target.
type Item struct {
	Target string      // a path, or "container registry"
	Action host.Action // create, change, remove, restart …
	Diff   string      // unified diff for files, a sentence for other things; secrets already masked
	// OnlyIf has the meaning of host.Op.OnlyIf: the line is shown only if one of
	// these things is changed by the same plan.
	OnlyIf []host.Ref
}
