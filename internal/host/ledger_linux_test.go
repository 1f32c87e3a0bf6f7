package host_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
)

// ours keeps a file, or with no data a directory, that is noted under a part.
type ours struct{ path, data, part string }

func (o ours) ref() host.Ref {
	if o.data == "" {
		return host.Ref{Kind: host.Dir, Path: o.path}
	}
	return host.Ref{Kind: host.File, Path: o.path}
}

func (o ours) Name() string      { return o.path }
func (o ours) Reads() []host.Ref { return []host.Ref{o.ref()} }

func (o ours) Plan(seen host.Facts) (step.Change, error) {
	old := seen[o.ref()]
	want := host.Fact{Exists: true, Data: []byte(o.data), Mode: 0o640, UID: os.Geteuid(), GID: os.Getegid()}
	action := host.Create
	switch {
	case o.data == "" && old.Exists, string(old.Data) == o.data && old.Exists:
		return step.Change{}, nil
	case o.data == "":
		want.Data, want.Mode = nil, 0o750
	case old.Exists:
		action = host.Change
	}
	return o.change(action, want, old), nil
}

func (o ours) change(action host.Action, want, old host.Fact) step.Change {
	return step.Change{
		Items: []step.Item{{Target: o.path, Action: action}},
		Ops:   []host.Op{{Ref: o.ref(), Action: action, Want: want, Before: old.Hash(), Part: o.part}},
	}
}

// away has it gone.
type away struct{ ours }

func (a away) Plan(seen host.Facts) (step.Change, error) {
	old := seen[a.ref()]
	if old.Edit == nil {
		return step.Change{}, nil
	}
	return a.change(host.Remove, host.Fact{}, old), nil
}

func ledgerContract(t *testing.T, newHost func(*testing.T) host.Host) {
	steptest.Run(t, newHost,
		steptest.Case{
			Name: "noted files and folders",
			Steps: func(t *testing.T, _ host.Host, root string) []step.Step {
				must(t, os.Mkdir(filepath.Join(root, "theirs"), 0o700))
				must(t, os.Symlink("theirs", filepath.Join(root, "link")))
				return []step.Step{
					ours{filepath.Join(root, "a b"), "", "dir,x"},
					ours{filepath.Join(root, "a b", "*"), "", "dir,x"},
					ours{filepath.Join(root, "a b", "*", "ca.crt"), odd, "file,x"},
					ours{filepath.Join(root, "link"), "", "dir,x"},
					ours{filepath.Join(root, "link", "f"), "x", "file,x"},
				}
			},
			Meddle: func(t *testing.T, root string) { put(t, filepath.Join(root, "theirs", "f"), "theirs", 0o600) },
		},
		steptest.Case{
			Name: "a noted file that changes",
			Steps: func(t *testing.T, h host.Host, root string) []step.Step {
				path := filepath.Join(root, "ca.crt")
				carryOut(t, h, ours{path, "old", "file,x"})
				return []step.Step{ours{path, "new", "file,x"}}
			},
			Meddle: func(t *testing.T, root string) { put(t, filepath.Join(root, "ca.crt"), "theirs", 0o640) },
		},
		steptest.Case{
			Name: "noted things that go",
			Steps: func(t *testing.T, h host.Host, root string) []step.Step {
				d := ours{filepath.Join(root, "d"), "", "dir,x"}
				f := ours{filepath.Join(root, "d", "f"), "x", "file,x"}
				carryOut(t, h, d, f)
				return []step.Step{away{f}, away{d}}
			},
		})
}

func TestLedgerContractInAShell(t *testing.T) {
	ledgerContract(t, func(t *testing.T) host.Host { return newShell(t) })
}

func TestLedgerContractOnALocalHost(t *testing.T) {
	ledgerContract(t, func(t *testing.T) host.Host {
		l := host.NewLocal(nil)
		l.UndoDir = t.TempDir() + "/undo"
		return l
	})
}

// recorded is what a host says it has recorded, a line an entry.
func recorded(t *testing.T, h host.Host, root string) string {
	t.Helper()
	facts, err := h.Look(t.Context(), []host.Ref{host.LedgerRef()})
	must(t, err)
	var b strings.Builder
	for _, e := range host.ParseLedger(facts[host.LedgerRef()]) {
		if !strings.HasPrefix(e.Hash, "sha256:") {
			t.Errorf("%+v has no hash", e)
		}
		fmt.Fprintf(&b, "%s %s %s\n", e.Kind, strings.TrimPrefix(e.Path, root+"/"), e.Part)
	}
	return b.String()
}

func TestLedgerSaysWhatIsThere(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	put(t, at("real"), "{}", 0o600)
	must(t, os.Symlink("real", at("link")))
	dir, file := ours{at("d"), "", "dir,a"}, ours{at("d/f"), "x", "file,a"}
	carryOut(t, h, dir, file, edited{at("link"), "one"})
	carryOut(t, h, edited{at("link"), "two"}, ours{at("d/f"), "y", "file,b"})
	want := "dir d dir,a\nfile d/f file,a\nfile d/f file,b\nedit link one\nedit link two\n"
	if got := recorded(t, h, root); got != want {
		t.Errorf("recorded\n%swant\n%s", got, want)
	}
	facts, err := h.Look(t.Context(), []host.Ref{file.ref(), dir.ref(), {Kind: host.File, Path: at("real")}})
	must(t, err)
	if r := facts[file.ref()].Edit; r == nil || !slices.Equal(r.Parts, []string{"file,a", "file,b"}) || r.Others {
		t.Errorf("%+v", r)
	}
	if r := facts[dir.ref()].Edit; r == nil || !r.Has("dir,a") {
		t.Errorf("%+v", r)
	}
	if r := facts[host.Ref{Kind: host.File, Path: at("real")}].Edit; r != nil {
		t.Errorf("%+v", r)
	}
	// The last part to have noted a file takes it along.
	carryOut(t, h, away{file}, away{dir})
	if content(t, at("d/f")) != "y" {
		t.Error("it has gone with another's part in it")
	}
	carryOut(t, h, away{ours{at("d/f"), "y", "file,b"}}, away{dir}, left{edited{at("link"), "one"}}, left{edited{at("link"), "two"}})
	gone(t, at("d"))
	gone(t, filepath.Dir(filepath.Dir(undo)))
}

func TestWhatIsNotOursStays(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	put(t, at("same"), "x", 0o600)
	must(t, os.Mkdir(at("theirs"), 0o700))
	before := steptest.Tree(t, root)
	same, theirs := ours{at("same"), "x", "file,a"}, ours{at("theirs"), "", "dir,a"}
	never := ours{at("never"), "x", "file,a"}
	ops := []host.Op{
		{Ref: same.ref(), Action: host.Create, Part: "file,a", Before: host.AnyBefore, Want: fact("x", 0o600)},
		{Ref: theirs.ref(), Action: host.Create, Part: "dir,a", Before: host.AnyBefore, Want: fact("", 0o755)},
	}
	for _, o := range []ours{same, theirs, never} {
		ops = append(ops, host.Op{Ref: o.ref(), Action: host.Remove, Part: o.part, Before: host.AnyBefore})
	}
	receipts, err := h.Do(t.Context(), ops)
	must(t, err)
	for _, r := range receipts {
		if r.Changed {
			t.Errorf("%+v", r)
		}
	}
	if after := steptest.Tree(t, root); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
	gone(t, undo)
}

func fact(data string, mode os.FileMode) host.Fact {
	f := host.Fact{Exists: true, Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
	if data != "" {
		f.Data = []byte(data)
	}
	return f
}

func TestWhatOthersMadeOfOursStays(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	f, d, g := ours{at("f"), "x", "file,a"}, ours{at("d"), "", "dir,a"}, ours{at("g"), "x", "file,a"}
	carryOut(t, h, f, d, g)
	put(t, at("f"), "theirs", 0o600)
	put(t, at("d/key.json"), "theirs", 0o600)
	must(t, os.Remove(at("g")))
	must(t, os.Mkdir(at("g"), 0o700))
	facts, err := h.Look(t.Context(), []host.Ref{f.ref()})
	must(t, err)
	if r := facts[f.ref()].Edit; r == nil || !r.Others {
		t.Errorf("%+v", r)
	}
	before := steptest.Tree(t, root)
	for _, r := range carryOut(t, h, away{f}, away{d}, away{g}) {
		if r.Changed || r.Note == "" {
			t.Errorf("%+v", r)
		}
	}
	if after := steptest.Tree(t, root); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
	gone(t, undo)
}

// Lines whose things were never made, or only half a line, do no harm.
func TestKilledBeforeItWasMade(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	d, f := ours{at("d"), "", "dir,a"}, ours{at("d/f"), "x", "file,a"}
	hash := fmt.Sprintf("%s:%x", fact("x", 0o640).Hash(), sha256.Sum256([]byte("x")))
	cut := "dir dir,a " + fact("", 0o750).Hash() + " " + at("d") + "\nfile file,a " + hash + " " + at("d/f") + "\nfile file,a " + hash + " " + at("d")
	must(t, os.MkdirAll(undo, 0o700))
	put(t, filepath.Join(undo, "ledger"), cut, 0o600)
	carryOut(t, h, away{f}, away{d})
	gone(t, undo)

	must(t, os.MkdirAll(undo, 0o700))
	put(t, filepath.Join(undo, "ledger"), cut, 0o600)
	carryOut(t, h, d, f, ours{at("e"), "", "dir,a"})
	if got := recorded(t, h, root); got != "dir d dir,a\nfile d/f file,a\ndir e dir,a\n" {
		t.Errorf("recorded\n%s", got)
	}
	// What a run that died left in a folder of ours does not keep it there.
	put(t, at("d/.regctl-999999999-0.tmp"), "half", 0o600)
	carryOut(t, h, away{f}, away{d}, away{ours{at("e"), "", "dir,a"}})
	if got := names(t, root); len(got) > 0 {
		t.Errorf("there is %q", got)
	}
	gone(t, undo)
}

// A file that is ours by its bytes goes whatever its mode, and so does one that a run
// had made and not yet written.
func TestOursByItsBytes(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	f, g := ours{filepath.Join(root, "f"), "x\n", "file,a"}, ours{filepath.Join(root, "g"), "y\n", "file,a"}
	carryOut(t, h, f, g)
	must(t, os.Chmod(f.path, 0o600))
	must(t, os.Truncate(g.path, 0))
	facts, err := h.Look(t.Context(), []host.Ref{f.ref(), g.ref()})
	must(t, err)
	for ref, fact := range facts {
		if fact.Edit == nil || fact.Edit.Others {
			t.Errorf("%s: %+v", ref, fact.Edit)
		}
	}
	carryOut(t, h, g)
	if content(t, g.path) != "y\n" {
		t.Error("it was not written")
	}
	must(t, os.Truncate(g.path, 0))
	carryOut(t, h, away{f}, away{g})
	if got := names(t, root); len(got) > 0 {
		t.Errorf("there is %q", got)
	}
	gone(t, undo)
}

// What failed is not noted, and leaves no record behind.
func TestNothingIsNotedOfWhatFailed(t *testing.T) {
	h, undo := undoable(t)
	f := ours{filepath.Join(t.TempDir(), "none", "f"), "x", "file,a"}
	planned, err := step.Plan(t.Context(), h, []step.Step{f})
	must(t, err)
	if _, err := step.Run(t.Context(), h, planned, noJournal{}); err == nil {
		t.Error("it did not fail")
	}
	gone(t, undo)
	if _, err := h.Do(t.Context(), []host.Op{{Ref: host.Ref{Kind: host.File, Path: "/a\nb"}, Action: host.Create, Part: "x"}}); err == nil {
		t.Error("a path of two lines was taken")
	}
}

// An action that a change calls for is known to be due until it is done, and not when
// nothing came of the change.
func TestLedgerKeepsWhatIsDue(t *testing.T) {
	h, _ := undoable(t)
	path := filepath.Join(t.TempDir(), "f")
	write := func(path string) host.Op {
		return host.Op{Ref: host.Ref{Kind: host.Edit, Path: path}, Action: host.Create, Want: host.Fact{Exists: true, Data: []byte("x\n"), Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}, Part: "p"}
	}
	follow := host.Op{Ref: host.Ref{Kind: host.Act, Path: "no-such-action"}, Action: host.Restart, Before: host.AnyBefore, OnlyIf: []host.Ref{{Kind: host.Edit, Path: path}}}
	due := func() (all []string) {
		facts, err := h.Look(t.Context(), []host.Ref{host.LedgerRef()})
		must(t, err)
		for _, e := range host.ParseLedger(facts[host.LedgerRef()]) {
			if e.Kind == host.Act {
				all = append(all, e.Path)
			}
		}
		return all
	}
	if _, err := h.Do(t.Context(), []host.Op{write(path), follow}); err == nil {
		t.Error("an action that there is not was done")
	}
	if got := due(); !slices.Equal(got, []string{"no-such-action"}) {
		t.Errorf("due is %q", got)
	}
	nowhere := filepath.Join(path, "below-a-file")
	follow.Path, follow.OnlyIf = "nor-this", []host.Ref{{Kind: host.Edit, Path: nowhere}}
	if _, err := h.Do(t.Context(), []host.Op{write(nowhere), follow}); err == nil {
		t.Error("a file was made below a file")
	}
	if got := due(); !slices.Equal(got, []string{"no-such-action"}) {
		t.Errorf("due is %q after a change that failed", got)
	}
}
