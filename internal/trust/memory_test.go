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
// files are kept, and come back when the last part leaves; what is made under a part
// is noted.
type memory struct {
	machine   string
	files     map[string]host.Fact
	dirs      map[string]bool
	originals map[string]host.Fact
	parts     map[string][]string
	noted     []host.Entry
	acts      []string
	info      string // what docker info says
}

func newMemory(machine string, files map[string]string) *memory {
	m := &memory{machine, map[string]host.Fact{}, map[string]bool{"/": true}, map[string]host.Fact{}, map[string][]string{}, nil, nil, "{}"}
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
			switch r {
			case host.LedgerRef():
				f.Data = m.ledger()
			case host.DockerInfoRef():
				f.Data = []byte(m.info)
			}
		case host.Dir:
			f = host.Fact{Exists: m.dirs[r.Path], Mode: 0o755, Edit: m.record(r)}
		case host.File:
			f.Edit = m.record(r)
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
			if op.Path == host.ReloadDockerd().Path || op.Path == host.RestartService("docker").Path {
				m.reload()
			}
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

// reload has dockerd read its configuration; it shows mirrors with a slash behind them.
func (m *memory) reload() {
	text := string(m.files[daemonConfig].Data)
	m.info = text + strings.ReplaceAll(text, `"`, `/"`)
}

func (m *memory) carryOut(op host.Op) error {
	if op.Action != host.Remove && !m.dirs[path.Dir(op.Path)] {
		return fmt.Errorf("%s: its folder is missing", op.Path)
	}
	if op.Kind != host.Edit && op.Part == "" {
		return fmt.Errorf("%s: nobody would know that it is ours", op.Path)
	}
	if op.Kind != host.Edit && op.Action != host.Remove {
		m.noted = append(m.noted, host.Entry{Kind: op.Kind, Path: op.Path, Part: op.Part, Hash: op.Want.Hash()})
	}
	switch {
	case op.Kind != host.Edit && op.Action == host.Remove:
		if m.record(op.Ref) == nil {
			return fmt.Errorf("%s: not ours", op.Path)
		}
		for name := range m.files {
			if strings.HasPrefix(name, op.Path+"/") {
				return nil
			}
		}
		m.noted = slices.DeleteFunc(m.noted, func(e host.Entry) bool { return refOf(e) == op.Ref })
		delete(m.dirs, op.Path)
		delete(m.files, op.Path)
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

func (m *memory) record(ref host.Ref) *host.Record {
	var parts []string
	for _, e := range m.noted {
		if refOf(e) == ref {
			parts = append(parts, e.Part)
		}
	}
	if parts == nil {
		return nil
	}
	return &host.Record{Parts: parts}
}

func (m *memory) ledger() []byte {
	var b strings.Builder
	for _, e := range m.noted {
		fmt.Fprintf(&b, "%s %s %s %s\n", e.Kind, e.Part, e.Hash, e.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(m.parts)) {
		for _, part := range m.parts[name] {
			fmt.Fprintf(&b, "edit %s - %s\n", part, name)
		}
	}
	return []byte(b.String())
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
func trusting(t *testing.T, m *memory, r Registry, stores []Store, opts Options) ([]Placement, error) {
	t.Helper()
	placed, err := Plan(r, client(t, m), stores, opts)
	if err != nil {
		return nil, err
	}
	before := maps.Clone(m.files)
	planned, err := step.Plan(t.Context(), m, steps(placed))
	if err != nil {
		if !maps.EqualFunc(before, m.files, func(a, b host.Fact) bool { return a.Hash() == b.Hash() }) {
			t.Error("an error touched files")
		}
		return nil, err
	}
	if _, err := step.Run(t.Context(), m, planned, noJournal{}); err != nil {
		t.Fatal(err)
	}
	again, err := step.Plan(t.Context(), m, steps(placed))
	if err != nil || !again.Empty() {
		t.Errorf("a second plan is not empty: %v %+v", err, again.Items())
	}
	return placed, nil
}

func steps(placed []Placement) []step.Step {
	var all []step.Step
	for _, p := range placed {
		all = append(all, p.Steps...)
	}
	return all
}

// entries are all that the host has recorded.
func entries(t *testing.T, h host.Host) []host.Entry {
	t.Helper()
	seen, err := h.Look(t.Context(), []host.Ref{host.LedgerRef()})
	if err != nil {
		t.Fatal(err)
	}
	return host.ParseLedger(seen[host.LedgerRef()])
}

// untrusting takes registries back; nothing of theirs is left to be taken back then.
func untrusting(t *testing.T, m *memory, opts Options, registries ...Registry) []Placement {
	t.Helper()
	var addresses []string
	for _, r := range registries {
		addresses = append(addresses, r.Address())
	}
	placed, err := Undo(client(t, m), entries(t, m), addresses, opts)
	if err != nil {
		t.Fatal(err)
	}
	planned, err := step.Plan(t.Context(), m, steps(placed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step.Run(t.Context(), m, planned, noJournal{}); err != nil {
		t.Fatal(err)
	}
	if again, err := Undo(client(t, m), entries(t, m), addresses, opts); err != nil || len(again) > 0 {
		t.Errorf("a second undo has something to do: %v, %+v", err, again)
	}
	return placed
}
