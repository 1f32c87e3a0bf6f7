package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/regctl/regctl/internal/host"
)

// shelf is a handler whose things are in memory.
type shelf map[string]host.Fact

func (s shelf) Look(_ context.Context, path string) (host.Fact, error) { return s[path], nil }
func (s shelf) Do(context.Context, host.Op) (host.Fact, error) {
	return host.Fact{}, errors.New("recovery does nothing to these")
}

// crashed leaves d with a journal as a killed command does.
func crashed(t *testing.T, d Dir, ops []host.Op, before host.Facts) {
	t.Helper()
	s, err := LoadState(d)
	must(t, err)
	must(t, (&Journal{Dir: d, State: &s}).Begin(ops, before))
}

func TestRecover(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	uid, gid := self()
	fact := func(data string) host.Fact {
		return host.Fact{Exists: true, Data: []byte(data), Mode: 0o600, UID: uid, GID: gid}
	}
	file := func(name string) host.Ref { return host.Ref{Kind: host.File, Path: d.Join(name)} }
	box := func(name string) host.Ref { return host.Ref{Kind: "box", Path: name} }
	op := func(ref host.Ref, action host.Action, want host.Fact, onlyIf ...host.Ref) host.Op {
		return host.Op{Ref: ref, Action: action, Want: want, Before: host.AnyBefore, OnlyIf: onlyIf}
	}
	ops := []host.Op{
		op(file("done"), host.Create, fact("done")),
		op(file("open"), host.Create, fact("open")),
		op(file("edited"), host.Create, fact("ours")),
		op(file("old"), host.Remove, host.Fact{}),
		op(file("perhaps"), host.Create, fact("x"), file("open")),
		op(file("never"), host.Create, fact("x"), box("open")),
		op(box("made"), host.Create, fact("made")),
		op(box("changed"), host.Change, fact("new")),
		op(box("open"), host.Create, fact("open")),
		op(box("theirs"), host.Create, fact("ours")),
	}
	before := host.Facts{file("old"): fact("old"), box("changed"): fact("old")}
	h := host.NewLocal(map[host.Kind]host.Handler{"box": shelf{
		"made": fact("made"), "changed": fact("new"),
		"theirs": {Exists: true, Foreign: "somebody else's"},
	}})
	for name, data := range map[string]string{"done": "done", "edited": "theirs", "old": "old", ".regctl-1-0123abcd.tmp": "half"} {
		must(t, os.WriteFile(d.Join(name), []byte(data), 0o600))
	}
	crashed(t, d, ops, before)

	receipts, err := Recover(t.Context(), d, h)
	must(t, err)
	got := map[string]host.Receipt{}
	for _, r := range receipts {
		got[r.String()] = r
	}
	for ref, want := range map[host.Ref]string{
		file("done"): fact("done").Hash(), file("open"): fact("open").Hash(), file("edited"): fact("theirs").Hash(),
		file("perhaps"): fact("x").Hash(),
		file("old"):     "", box("made"): fact("made").Hash(), box("changed"): fact("new").Hash(),
	} {
		r, ok := got[ref.String()]
		if !ok || !r.Changed || r.After != want || !reflect.DeepEqual(r.Before, before[ref]) {
			t.Errorf("%s: %+v", ref, r)
		}
		delete(got, ref.String())
	}
	if len(got) > 0 {
		t.Errorf("receipts for what did not happen: %v", got)
	}
	for name, want := range map[string]string{"done": "done", "open": "open", "edited": "theirs"} {
		if data, err := os.ReadFile(d.Join(name)); err != nil || string(data) != want {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"old", "never", "journal", ".regctl-1-0123abcd.tmp"} {
		if _, err := os.Lstat(d.Join(name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	s, err := LoadState(d)
	if err != nil || len(s.Receipts) != len(receipts) {
		t.Errorf("the state has %d receipts of %d, %v", len(s.Receipts), len(receipts), err)
	}
	if again, err := Recover(t.Context(), d, h); err != nil || again != nil {
		t.Errorf("again: %v, %v", again, err)
	}
}

// counted is a handler of things that are as they are, and counts what is done to them.
type counted struct {
	done map[string]int
	fail error
}

func (c counted) Look(_ context.Context, path string) (host.Fact, error) {
	return host.Fact{Exists: true, Data: []byte(path)}, nil
}

func (c counted) Do(_ context.Context, op host.Op) (host.Fact, error) {
	c.done[string(op.Action)+" "+op.Path]++
	return host.Fact{Exists: true, Data: []byte(op.Path)}, c.fail
}

// What is written beside the lock is swept too, but not what a living process writes.
func TestRecoverSweeps(t *testing.T) {
	d := Dir(t.TempDir())
	h := host.NewLocal(nil)
	for _, folder := range []string{d.Clients(), d.Nodes(), filepath.Dir(d.Canary()), d.ACMEControl()} {
		must(t, os.MkdirAll(folder, 0o700))
		left, busy := filepath.Join(folder, ".regctl-99999999-3021337700.tmp"), filepath.Join(folder, fmt.Sprintf(".regctl-%d-0123abcd.tmp", os.Getpid()))
		for name, do := range map[string]func() error{
			"Recover":   func() error { _, err := Recover(t.Context(), d, h); return err },
			"TakeStock": func() error { _, err := TakeStock(t.Context(), d, h); return err },
		} {
			must(t, os.WriteFile(left, nil, 0o600))
			must(t, os.WriteFile(busy, nil, 0o600))
			must(t, do())
			if _, err := os.Stat(left); !os.IsNotExist(err) {
				t.Errorf("%s left %s: %v", name, left, err)
			}
			if _, err := os.Stat(busy); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What was to be restarted or reloaded for a file that changed is, whether the killed
// command came to that or not; and not for one that did not change, nor by an upgrade,
// which restarts things itself.
func TestRecoverRestarts(t *testing.T) {
	uid, gid := self()
	fact := func(data string) host.Fact {
		return host.Fact{Exists: true, Data: []byte(data), Mode: 0o600, UID: uid, GID: gid}
	}
	stuck := errors.New("stuck")
	for name, tt := range map[string]struct {
		config  string // on disk
		upgrade bool
		fail    error
		want    map[string]int
		failed  bool
	}{
		"killed before the file": {config: "old", want: map[string]int{"restart one": 1, "wait one": 1, "wait reload": 1}},
		"killed after the file":  {config: "new", want: map[string]int{"restart one": 1, "wait one": 1, "wait reload": 1}},
		"upgrade":                {config: "new", upgrade: true, want: map[string]int{}},
		"not restarted":          {config: "new", fail: stuck, want: map[string]int{"restart one": 1, "wait one": 1, "wait reload": 1}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir(filepath.Join(t.TempDir(), "registry"))
			held(t, d)
			config, other := host.Ref{Kind: host.File, Path: d.Join("config")}, host.Ref{Kind: host.File, Path: d.Join("other")}
			box := func(name string) host.Ref { return host.Ref{Kind: "box", Path: name} }
			ops := []host.Op{
				{Ref: config, Action: host.Change, Want: fact("new"), Before: host.AnyBefore},
				{Ref: box("one"), Action: host.Restart, Before: host.AnyBefore, OnlyIf: []host.Ref{other, config}},
				{Ref: host.Ref{Kind: "answer", Path: "one"}, Action: host.Wait, Before: host.AnyBefore, OnlyIf: []host.Ref{box("one")}},
				{Ref: box("two"), Action: host.Restart, Before: host.AnyBefore, OnlyIf: []host.Ref{other}},
				{Ref: host.Ref{Kind: "answer", Path: "two"}, Action: host.Wait, Before: host.AnyBefore, OnlyIf: []host.Ref{box("two")}},
				{Ref: host.Ref{Kind: "answer", Path: "reload"}, Action: host.Wait, Before: host.AnyBefore, OnlyIf: []host.Ref{config}},
				{Ref: box("three"), Action: host.Restart, Before: host.AnyBefore},
			}
			seen := host.Facts{config: fact("old")}
			for _, op := range ops[1:] {
				seen[op.Ref] = host.Fact{Exists: true, Data: []byte(op.Path)}
			}
			must(t, os.WriteFile(config.Path, []byte(tt.config), 0o600))
			s, err := LoadState(d)
			must(t, err)
			must(t, (&Journal{Dir: d, State: &s, Upgrade: tt.upgrade}).Begin(ops, seen))

			things := counted{map[string]int{}, tt.fail}
			left, err := Unheeded(t.Context(), d, host.NewLocal(map[host.Kind]host.Handler{"box": things, "answer": things}))
			if want := tt.config == "new" && !tt.upgrade; err != nil || (len(left) == 1 && left[0].Path == "one") != want {
				t.Errorf("to be restarted: %v, %v", left, err)
			}
			_, err = Recover(t.Context(), d, host.NewLocal(map[host.Kind]host.Handler{"box": things, "answer": things}))
			if (err != nil) != tt.failed {
				t.Errorf("recover: %v", err)
			}
			if !reflect.DeepEqual(things.done, tt.want) {
				t.Errorf("it did %v, want %v", things.done, tt.want)
			}
			if data, err := os.ReadFile(config.Path); err != nil || string(data) != "new" {
				t.Errorf("the file holds %q, %v", data, err)
			}
		})
	}
}

// Nothing can have read a file that a killed command made anew, so nobody waits until
// something does: it may be yet to be made.
func TestRecoverDoesNotWait(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	uid, gid := self()
	config := host.Ref{Kind: host.File, Path: d.Join("config")}
	ops := []host.Op{
		{Ref: config, Action: host.Create, Want: host.Fact{Exists: true, Mode: 0o600, UID: uid, GID: gid}, Before: host.AnyBefore},
		{Ref: host.Ref{Kind: "answer", Path: "served"}, Action: host.Wait, Before: host.AnyBefore, OnlyIf: []host.Ref{config}},
	}
	s, err := LoadState(d)
	must(t, err)
	must(t, (&Journal{Dir: d, State: &s}).Begin(ops, host.Facts{}))
	things := counted{map[string]int{}, nil}
	_, err = Recover(t.Context(), d, host.NewLocal(map[host.Kind]host.Handler{"answer": things}))
	must(t, err)
	if _, err := os.Stat(config.Path); err != nil || len(things.done) > 0 {
		t.Errorf("%v; it did %v", err, things.done)
	}
}

// What cannot be finished now is finished next time, with the same values.
func TestRecoverFailsHalfWay(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	uid, gid := self()
	var ops []host.Op
	for _, name := range []string{"a", "sub/b"} {
		ops = append(ops, host.Op{
			Ref: host.Ref{Kind: host.File, Path: d.Join(name)}, Action: host.Create, Before: host.AnyBefore,
			Want: host.Fact{Exists: true, Data: []byte(name), Mode: 0o600, UID: uid, GID: gid},
		})
	}
	crashed(t, d, ops, nil)
	h := host.NewLocal(nil)
	receipts, err := Recover(t.Context(), d, h)
	if err == nil || len(receipts) != 1 {
		t.Errorf("%v, %v", receipts, err)
	}
	if s, err := LoadState(d); err != nil || len(s.Receipts) != 1 {
		t.Errorf("the state has %v, %v", s.Receipts, err)
	}
	must(t, os.Mkdir(d.Join("sub"), 0o700))
	if receipts, err = Recover(t.Context(), d, h); err != nil || len(receipts) != 2 {
		t.Errorf("%v, %v", receipts, err)
	}
	if s, err := LoadState(d); err != nil || len(s.Receipts) != 2 {
		t.Errorf("the state has %v, %v", s.Receipts, err)
	}
}

// A journal that was not written to its end stands for a batch that had not begun.
func TestTornJournal(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	path := d.Join("f")
	crashed(t, d, []host.Op{{
		Ref: host.Ref{Kind: host.File, Path: path}, Action: host.Create,
		Want: host.Fact{Exists: true, Data: []byte("x"), Mode: 0o600},
	}}, nil)
	whole, err := os.ReadFile(d.Journal())
	must(t, err)
	for n := range whole {
		must(t, os.WriteFile(d.Journal(), whole[:n], 0o600))
		if receipts, err := Recover(t.Context(), d, host.NewLocal(nil)); err != nil || receipts != nil {
			t.Fatalf("cut to %d of %d: %v, %v", n, len(whole), receipts, err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Fatalf("cut to %d of %d it was carried out", n, len(whole))
		}
	}
}

// A power failure may bring the removal of a journal back, not what it led to.
func TestJournalThatCameBack(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	s, err := LoadState(d)
	must(t, err)
	j := &Journal{Dir: d, State: &s}
	must(t, j.Begin([]host.Op{{
		Ref: host.Ref{Kind: host.File, Path: d.Join("f")}, Action: host.Create,
		Want: host.Fact{Exists: true, Data: []byte("x"), Mode: 0o600},
	}}, nil))
	saved, err := os.ReadFile(d.Journal())
	must(t, err)
	must(t, j.Commit(nil))
	must(t, os.WriteFile(d.Journal(), saved, 0o600))
	if receipts, err := Recover(t.Context(), d, host.NewLocal(nil)); err != nil || receipts != nil {
		t.Errorf("%v, %v", receipts, err)
	}
	if _, err := os.Lstat(d.Join("f")); err == nil {
		t.Error("it was carried out again")
	}
}
