package trust

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// memory is a host of maps, with the rules of package host: originals of edited
// files are kept, and come back when the last part leaves.
type memory struct {
	machine   string
	files     map[string]host.Fact
	dirs      map[string]bool
	originals map[string]host.Fact
	parts     map[string][]string
	acts      []string
}

func newMemory(machine string, files map[string]string) *memory {
	m := &memory{machine, map[string]host.Fact{}, map[string]bool{"/": true}, map[string]host.Fact{}, map[string][]string{}, nil}
	for name, text := range files {
		m.files[name] = host.Fact{Exists: true, Data: []byte(text), Mode: 0o640, UID: 7}
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			m.dirs[dir] = true
		}
	}
	for _, dir := range []string{"/etc", "/etc/ssl", "/home", "/home/u", "/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors"} {
		m.dirs[dir] = true
	}
	return m
}

func (m *memory) Name() string { return "memory" }

func (m *memory) Look(_ context.Context, refs []host.Ref) (host.Facts, error) {
	seen := host.Facts{}
	for _, r := range refs {
		f := m.files[r.Path]
		switch r.Kind {
		case host.Runtime:
			f = host.Fact{Exists: true, Data: []byte(m.machine)}
		case host.Dir:
			f = host.Fact{Exists: m.dirs[r.Path], Mode: 0o755}
		case host.Edit:
			if parts := m.parts[r.Path]; len(parts) > 0 {
				f.Edit = &host.Record{Parts: parts, Original: m.originals[r.Path].Hash()}
			}
		}
		seen[r] = f
	}
	return seen, nil
}

func (m *memory) Do(ctx context.Context, ops []host.Op) ([]host.Receipt, error) {
	var receipts []host.Receipt
	changed := map[host.Ref]bool{}
	for _, op := range ops {
		if len(op.OnlyIf) > 0 && !slices.ContainsFunc(op.OnlyIf, func(r host.Ref) bool { return changed[r] }) {
			continue
		}
		if op.Kind == host.Act {
			m.acts = append(m.acts, op.Path)
			continue
		}
		seen, _ := m.Look(ctx, []host.Ref{op.Ref})
		old := seen[op.Ref]
		if op.Before != host.AnyBefore && op.Before != old.Hash() {
			return receipts, &host.ChangedError{Ref: op.Ref}
		}
		if err := m.carryOut(op); err != nil {
			return receipts, err
		}
		seen, _ = m.Look(ctx, []host.Ref{op.Ref})
		changed[op.Ref] = true
		receipts = append(receipts, host.Receipt{Ref: op.Ref, Action: op.Action, Before: old, After: seen[op.Ref].Hash(), Changed: true, Part: op.Part})
	}
	return receipts, nil
}

func (m *memory) carryOut(op host.Op) error {
	if op.Action != host.Remove && !m.dirs[path.Dir(op.Path)] {
		return fmt.Errorf("%s: its folder is missing", op.Path)
	}
	switch {
	case op.Kind == host.Dir && op.Action == host.Remove:
		for name := range m.files {
			if strings.HasPrefix(name, op.Path+"/") {
				return nil
			}
		}
		delete(m.dirs, op.Path)
	case op.Kind == host.Dir:
		m.dirs[op.Path] = true
	case op.Kind == host.Edit && op.Action == host.Remove:
		m.parts[op.Path] = slices.DeleteFunc(m.parts[op.Path], func(p string) bool { return p == op.Part })
		if len(m.parts[op.Path]) > 0 {
			m.files[op.Path] = op.Want
			return nil
		}
		m.put(op.Path, m.originals[op.Path])
		delete(m.originals, op.Path)
	case op.Kind == host.Edit:
		if len(m.parts[op.Path]) == 0 {
			m.originals[op.Path] = m.files[op.Path]
		}
		if !slices.Contains(m.parts[op.Path], op.Part) {
			m.parts[op.Path] = append(m.parts[op.Path], op.Part)
		}
		m.put(op.Path, op.Want)
	default:
		m.put(op.Path, op.Want)
	}
	return nil
}

func (m *memory) put(name string, f host.Fact) {
	if !f.Exists {
		delete(m.files, name)
		return
	}
	m.files[name] = f
}

type noJournal struct{}

func (noJournal) Begin([]host.Op, host.Facts) error { return nil }
func (noJournal) Commit([]host.Receipt) error       { return nil }

// tree is everything on the host, to compare.
func (m *memory) tree() map[string]string {
	all := map[string]string{}
	for name, f := range m.files {
		all[name] = f.Hash()
	}
	for dir := range m.dirs {
		all[dir+"/"] = ""
	}
	return all
}

func client(t *testing.T, m *memory) Client {
	t.Helper()
	seen, err := m.Look(t.Context(), Reads())
	if err != nil {
		t.Fatal(err)
	}
	return SeenClient(seen)
}

// trusting carries a plan out; a second plan must be empty.
func trusting(t *testing.T, m *memory, r Registry, stores []Store, opts Options) ([]Placement, []host.Receipt, error) {
	t.Helper()
	placed, err := Plan(r, client(t, m), stores, opts)
	if err != nil {
		return nil, nil, err
	}
	before := maps.Clone(m.files)
	planned, err := step.Plan(t.Context(), m, steps(placed))
	if err != nil {
		if !maps.EqualFunc(before, m.files, func(a, b host.Fact) bool { return a.Hash() == b.Hash() }) {
			t.Error("an error touched files")
		}
		return nil, nil, err
	}
	receipts, err := step.Run(t.Context(), m, planned, noJournal{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := step.Plan(t.Context(), m, steps(placed))
	if err != nil || !again.Empty() {
		t.Errorf("a second plan is not empty: %v %+v", err, again.Items())
	}
	return placed, receipts, nil
}

func steps(placed []Placement) []step.Step {
	var all []step.Step
	for _, p := range placed {
		all = append(all, p.Steps...)
	}
	return all
}

func untrusting(t *testing.T, m *memory, receipts []host.Receipt) {
	t.Helper()
	planned, err := step.Plan(t.Context(), m, Undo(client(t, m), receipts))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step.Run(t.Context(), m, planned, noJournal{}); err != nil {
		t.Fatal(err)
	}
}
