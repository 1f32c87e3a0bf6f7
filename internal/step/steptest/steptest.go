// Package steptest is the contract that every kind of step and op keeps, as a
// test suite. A package that brings a handler of its own runs it too.
package steptest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Case is one way in which steps change a machine.
type Case struct {
	Name string
	// Steps puts the machine into the state before the change and says what is
	// wanted. Files belong under root, an empty directory of the test's own.
	Steps func(t *testing.T, h host.Host, root string) []step.Step
	// Meddle, if set, changes one of the things that Steps change, so that their
	// plan no longer holds.
	Meddle func(t *testing.T, root string)
	// Identity, if set, adds to what must be the same after a second run that has
	// nothing to do, for example a container's id and start time.
	Identity func(t *testing.T, root string) string
}

// Run runs the suite for each case. newHost is called for each test of it.
func Run(t *testing.T, newHost func(t *testing.T) host.Host, cases ...Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Run("plan is pure", func(t *testing.T) { begin(t, newHost, c).planIsPure() })
			t.Run("do then plan is empty", func(t *testing.T) { begin(t, newHost, c).thenEmpty() })
			t.Run("do twice changes nothing", func(t *testing.T) { begin(t, newHost, c).twice() })
			t.Run("undo restores", func(t *testing.T) { begin(t, newHost, c).undo() })
			t.Run("cancelled leaves old or new", func(t *testing.T) { begin(t, newHost, c).cancelled() })
			if c.Meddle != nil {
				t.Run("changed precondition is refused", func(t *testing.T) { begin(t, newHost, c).refused() })
			}
		})
	}
}

// trial is one test of one case.
type trial struct {
	*testing.T
	c     Case
	h     *spy
	root  string
	steps []step.Step
}

func begin(t *testing.T, newHost func(t *testing.T) host.Host, c Case) *trial {
	t.Helper()
	x := &trial{T: t, c: c, h: &spy{Host: newHost(t)}, root: t.TempDir()}
	x.steps = c.Steps(t, x.h, x.root)
	return x
}

func (x *trial) plan() step.Planned {
	x.Helper()
	planned, err := step.Plan(x.Context(), x.h, x.steps)
	if err != nil {
		x.Fatalf("plan: %v", err)
	}
	return planned
}

// run carries the plan out and returns the ops too.
func (x *trial) run(ctx context.Context, planned step.Planned) ([]host.Op, []host.Receipt, error) {
	var j recorder
	receipts, err := step.Run(ctx, x.h, planned, &j)
	return j.ops, receipts, err
}

func (x *trial) mustRun(planned step.Planned) ([]host.Op, []host.Receipt) {
	x.Helper()
	ops, receipts, err := x.run(x.Context(), planned)
	if err != nil {
		x.Fatalf("run: %v", err)
	}
	return ops, receipts
}

func (x *trial) planIsPure() {
	planned := x.plan()
	if planned.Empty() {
		x.Fatal("the case has nothing to do: it tests nothing")
	}
	before := tree(x.T, x.root, true)
	x.h.calls = 0
	for _, s := range x.steps {
		first, err := s.Plan(planned.Seen)
		second, again := s.Plan(planned.Seen)
		if err != nil || again != nil {
			x.Fatalf("%s: plan: %v, then %v", s.Name(), err, again)
		}
		if (first.Make == nil) != (second.Make == nil) {
			x.Errorf("%s: planned from the same facts, one makes values and the other does not", s.Name())
		}
		first.Make, second.Make = nil, nil
		if !reflect.DeepEqual(first, second) {
			x.Errorf("%s: the same facts gave two plans:\n%+v\n%+v", s.Name(), first, second)
		}
	}
	if x.h.calls > 0 {
		x.Errorf("planning called the host %d times", x.h.calls)
	}
	if after := tree(x.T, x.root, true); after != before {
		x.Errorf("planning changed files:\n%s\nwere\n%s", after, before)
	}
}

func (x *trial) thenEmpty() {
	x.mustRun(x.plan())
	if again := x.plan(); !again.Empty() {
		x.Errorf("the plan after it was carried out is not empty: %+v", again.Changes)
	}
}

func (x *trial) twice() {
	ops, _ := x.mustRun(x.plan())
	before := tree(x.T, x.root, true) + x.identity()
	x.mustRun(x.plan())
	receipts, err := x.h.Do(x.Context(), settled(ops))
	if err != nil {
		x.Errorf("the same ops again: %v", err)
	}
	for _, r := range receipts {
		if r.Changed {
			x.Errorf("done again, %s %s changed something", r.Action, r.Ref)
		}
	}
	if after := tree(x.T, x.root, true) + x.identity(); after != before {
		x.Errorf("the second time changed something:\n%s\nwas\n%s", after, before)
	}
}

func (x *trial) identity() string {
	if x.c.Identity == nil {
		return ""
	}
	return x.c.Identity(x.T, x.root)
}

// settled are the ops that say what ought to be, of each thing the last. What
// starts and stops is not among them: doing that again means doing it again.
func settled(ops []host.Op) []host.Op {
	last := map[host.Ref]int{}
	for i, op := range ops {
		last[op.Ref] = i
	}
	var kept []host.Op
	for i, op := range ops {
		switch op.Action {
		case host.Create, host.Change, host.Remove:
			if last[op.Ref] == i {
				kept = append(kept, op)
			}
		}
	}
	return kept
}

func (x *trial) undo() {
	planned := x.plan()
	before := tree(x.T, x.root, false)
	_, receipts := x.mustRun(planned)
	x.takeBack(receipts)
	x.sameAs(planned, before)
}

// takeBack undoes receipts as another process would: from what was saved.
func (x *trial) takeBack(receipts []host.Receipt) {
	x.Helper()
	data, err := json.Marshal(receipts)
	if err != nil {
		x.Fatal(err)
	}
	var saved []host.Receipt
	if err := json.Unmarshal(data, &saved); err != nil {
		x.Fatal(err)
	}
	if err := step.Undo(x.Context(), x.h, saved); err != nil {
		x.Fatalf("undo: %v", err)
	}
}

func (x *trial) sameAs(planned step.Planned, before string) {
	x.Helper()
	if after := tree(x.T, x.root, false); after != before {
		x.Errorf("files are not as before:\n%s\nwere\n%s", after, before)
	}
	var refs []host.Ref
	for ref := range planned.Seen {
		refs = append(refs, ref)
	}
	now, err := x.h.Look(x.Context(), refs)
	if err != nil {
		x.Fatal(err)
	}
	for _, ref := range refs {
		if now[ref].Hash() != planned.Seen[ref].Hash() {
			x.Errorf("%s is not as before: %+v, was %+v", ref, now[ref], planned.Seen[ref])
		}
	}
}

// cancelled stops the work at each place where it asks whether to go on.
func (x *trial) cancelled() {
	before := tree(x.T, x.root, false)
	for n := 0; ; n++ {
		planned := x.plan()
		ops, receipts, err := x.run(after(x.Context(), n), planned)
		if err == nil {
			if n == 0 {
				x.Error("a context that had ended did not stop it")
			}
			x.takeBack(receipts)
			return
		}
		if !errors.Is(err, context.Canceled) {
			x.Fatalf("stopped at place %d: %v", n, err)
		}
		x.oldOrNew(n, ops, planned.Seen)
		x.takeBack(receipts)
		x.sameAs(planned, before)
		if x.Failed() {
			x.Fatalf("stopped at place %d", n)
		}
	}
}

// oldOrNew looks at what an op's want describes in full.
func (x *trial) oldOrNew(n int, ops []host.Op, seen host.Facts) {
	x.Helper()
	for _, op := range settled(ops) {
		switch op.Kind {
		case host.File, host.Dir, host.Link:
		default:
			continue
		}
		now, err := x.h.Look(x.Context(), []host.Ref{op.Ref})
		if err != nil {
			x.Fatal(err)
		}
		if hash := now[op.Ref].Hash(); hash != seen[op.Ref].Hash() && hash != op.Want.Hash() {
			x.Errorf("stopped at place %d, %s is neither old nor new: %+v", n, op.Ref, now[op.Ref])
		}
	}
}

func (x *trial) refused() {
	planned := x.plan()
	x.c.Meddle(x.T, x.root)
	meddled, err := step.Plan(x.Context(), x.h, x.steps)
	if err != nil {
		x.Fatalf("plan: %v", err)
	}
	before := tree(x.T, x.root, false)
	_, receipts, err := x.run(x.Context(), planned)
	var changed *host.ChangedError
	if !errors.As(err, &changed) {
		x.Fatalf("a thing that changed since was not refused: %v", err)
	}
	x.takeBack(receipts)
	x.sameAs(meddled, before)
}

// recorder is a journal that keeps the ops.
type recorder struct{ ops []host.Op }

func (r *recorder) Begin(ops []host.Op, _ host.Facts) error {
	r.ops = ops
	return nil
}

func (r *recorder) Commit([]host.Receipt) error { return nil }

// spy counts the calls on a host.
type spy struct {
	host.Host
	calls int
}

func (s *spy) Look(ctx context.Context, refs []host.Ref) (host.Facts, error) {
	s.calls++
	return s.Host.Look(ctx, refs)
}

func (s *spy) Do(ctx context.Context, ops []host.Op) ([]host.Receipt, error) {
	s.calls++
	return s.Host.Do(ctx, ops)
}
