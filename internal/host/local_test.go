package host_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func file(path, data string) host.Op {
	return host.Op{
		Ref: host.Ref{Kind: host.File, Path: path}, Action: host.Create, Before: host.AnyBefore,
		Want: host.Fact{Exists: true, Data: []byte(data), Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()},
	}
}

func dir(path string) host.Op {
	o := file(path, "")
	o.Kind, o.Want.Data, o.Want.Mode = host.Dir, nil, 0o700
	return o
}

func link(path, target string) host.Op {
	return host.Op{
		Ref: host.Ref{Kind: host.Link, Path: path}, Action: host.Create, Before: host.AnyBefore,
		Want: host.Fact{Exists: true, Data: []byte(target)},
	}
}

func remove(o host.Op) host.Op {
	o.Action, o.Want = host.Remove, host.Fact{}
	return o
}

// names lists what a folder holds, temporary files too.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestLook(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(at("f"), []byte("data"), 0o640))
	must(t, os.Chmod(at("f"), 0o640))
	must(t, os.Mkdir(at("d"), 0o750))
	must(t, os.Symlink("f", at("l")))
	uid, gid := os.Geteuid(), os.Getegid()
	tests := []struct {
		kind host.Kind
		name string
		want host.Fact
	}{
		{host.File, "f", host.Fact{Exists: true, Data: []byte("data"), Mode: 0o640, UID: uid, GID: gid}},
		{host.File, "none", host.Fact{}},
		{host.File, "f/below", host.Fact{}},
		{host.Dir, "f/below", host.Fact{}},
		{host.Dir, "none/below", host.Fact{}},
		{host.Link, "none", host.Fact{}},
		{host.Dir, "d", host.Fact{Exists: true, Mode: 0o750, UID: uid, GID: gid}},
		{host.Link, "l", host.Fact{Exists: true, Data: []byte("f")}},
		{host.File, "d", host.Fact{Exists: true, Mode: 0o750, UID: uid, GID: gid, Foreign: "a directory"}},
		{host.Dir, "f", host.Fact{Exists: true, Mode: 0o640, UID: uid, GID: gid, Foreign: "a file"}},
		{host.Link, "f", host.Fact{Exists: true, Mode: 0o640, UID: uid, GID: gid, Foreign: "a file"}},
		{host.Source, "l", host.Fact{Exists: true, Data: []byte("data"), Mode: 0o640, UID: uid, GID: gid}},
		{host.Source, "d", host.Fact{Exists: true, Mode: 0o750, UID: uid, GID: gid, Foreign: "a directory"}},
		{host.Source, "none", host.Fact{}},
	}
	l := host.NewLocal(nil)
	for _, tt := range tests {
		ref := host.Ref{Kind: tt.kind, Path: at(tt.name)}
		facts, err := l.Look(t.Context(), []host.Ref{ref, ref})
		if err != nil || !reflect.DeepEqual(facts[ref], tt.want) {
			t.Errorf("%s %s: %+v, %v; want %+v", tt.kind, tt.name, facts[ref], err, tt.want)
		}
	}
	if _, err := l.Look(t.Context(), []host.Ref{{Kind: "container", Path: "x"}}); err == nil {
		t.Error("a kind without a handler was looked at")
	}
}

func TestDoTellsWhatItChanged(t *testing.T) {
	root := t.TempDir()
	ops := []host.Op{dir(filepath.Join(root, "d")), file(filepath.Join(root, "d", "f"), "one"), link(filepath.Join(root, "l"), "d/f")}
	l := host.NewLocal(nil)
	var carriedOut []string
	l.Progress = func(op host.Op) { carriedOut = append(carriedOut, string(op.Kind)) }
	receipts, err := l.Do(t.Context(), ops)
	must(t, err)
	for i, r := range receipts {
		if !r.Changed || r.Before.Exists || r.After != ops[i].Want.Hash() || r.Host != host.LocalName {
			t.Errorf("receipt %+v", r)
		}
	}
	if !reflect.DeepEqual(carriedOut, []string{"dir", "file", "link"}) {
		t.Errorf("carried out %q", carriedOut)
	}
	if got := names(t, filepath.Join(root, "d")); !reflect.DeepEqual(got, []string{"f"}) {
		t.Errorf("d holds %q", got)
	}
	carriedOut = nil
	receipts, err = l.Do(t.Context(), ops)
	must(t, err)
	for _, r := range receipts {
		if r.Changed {
			t.Errorf("changed again: %+v", r)
		}
	}
	if carriedOut != nil {
		t.Errorf("carried out again: %q", carriedOut)
	}
}

func TestDoOnlyIf(t *testing.T) {
	root := t.TempDir()
	a, b, c := file(filepath.Join(root, "a"), "a"), file(filepath.Join(root, "b"), "b"), file(filepath.Join(root, "c"), "c")
	b.OnlyIf, c.OnlyIf = []host.Ref{a.Ref}, []host.Ref{b.Ref}
	must(t, os.WriteFile(a.Path, []byte("a"), 0o600))
	l := host.NewLocal(nil)
	receipts, err := l.Do(t.Context(), []host.Op{a, b, c})
	must(t, err)
	if got := names(t, root); len(got) != 1 || len(receipts) != 3 || receipts[1].Changed {
		t.Errorf("a is as wanted, but there is %q, %+v", got, receipts)
	}
	must(t, os.WriteFile(a.Path, []byte("other"), 0o600))
	_, err = l.Do(t.Context(), []host.Op{a, b, c})
	must(t, err)
	if got := names(t, root); len(got) != 3 {
		t.Errorf("a changed, but there is only %q", got)
	}
}

func TestDoRefuses(t *testing.T) {
	root := t.TempDir()
	changed := file(filepath.Join(root, "changed"), "new")
	changed.Before = host.Fact{Exists: true, Data: []byte("seen")}.Hash()
	must(t, os.WriteFile(changed.Path, []byte("theirs"), 0o600))
	taken := file(filepath.Join(root, "taken"), "new")
	must(t, os.Mkdir(taken.Path, 0o755))
	orphan := file(filepath.Join(root, "none", "f"), "new")

	for _, tt := range []struct {
		op   host.Op
		want string
	}{
		{changed, changed.Path + " changed while we were working on it"},
		{taken, taken.Path + " is a directory, not a file"},
		{remove(taken), taken.Path + " is a directory, not a file"},
		{orphan, "write " + orphan.Path + ": no such file or directory"},
		{dir(orphan.Path), "make " + orphan.Path + ": no such file or directory"},
		{link(orphan.Path, "x"), "link " + orphan.Path + ": no such file or directory"},
	} {
		first := file(filepath.Join(root, "first"), "first")
		receipts, err := host.NewLocal(nil).Do(t.Context(), []host.Op{first, tt.op, file(filepath.Join(root, "never"), "x")})
		var failed *host.OpError
		if !errors.As(err, &failed) || failed.Index != 1 || failed.Ref != tt.op.Ref || len(receipts) != 1 {
			t.Errorf("%s %s: %v, %d receipts", tt.op.Action, tt.op.Ref, err, len(receipts))
			continue
		}
		if err.Error() != tt.want || fault.Hint(err) == "" {
			t.Errorf("error is %q, hint %q; want %q", err, fault.Hint(err), tt.want)
		}
	}
	if got := names(t, root); !reflect.DeepEqual(got, []string{"changed", "first", "taken"}) {
		t.Errorf("there is %q", got)
	}
}

// What the batch itself did is no reason to refuse.
func TestDoChecksOnlyWhatOthersChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	first, second := file(path, "one"), file(path, "two")
	first.Before, second.Before = "", ""
	_, err := host.NewLocal(nil).Do(t.Context(), []host.Op{first, second})
	must(t, err)
}

func TestRemove(t *testing.T) {
	root := t.TempDir()
	full := dir(filepath.Join(root, "full"))
	ops := []host.Op{
		full, file(filepath.Join(full.Path, "theirs"), ""),
		dir(filepath.Join(root, "empty")), file(filepath.Join(root, "f"), "x"), link(filepath.Join(root, "l"), "nowhere"),
	}
	l := host.NewLocal(nil)
	_, err := l.Do(t.Context(), ops)
	must(t, err)
	receipts, err := l.Do(t.Context(), []host.Op{remove(full), remove(ops[2]), remove(ops[3]), remove(ops[4])})
	must(t, err)
	if receipts[0].Changed || receipts[0].After == "" {
		t.Errorf("a directory that holds something: %+v", receipts[0])
	}
	for _, r := range receipts[1:] {
		if !r.Changed || r.After != "" || !r.Before.Exists {
			t.Errorf("receipt %+v", r)
		}
	}
	if got := names(t, root); !reflect.DeepEqual(got, []string{"full"}) {
		t.Errorf("there is %q", got)
	}
}

func TestSyncsAreFew(t *testing.T) {
	root := t.TempDir()
	ops := []host.Op{dir(filepath.Join(root, "serve")), dir(filepath.Join(root, "serve", "tls"))}
	for _, name := range []string{"a", "b", "serve/c", "serve/tls/d", "serve/tls/e"} {
		ops = append(ops, file(filepath.Join(root, name), name))
	}
	l := host.NewLocal(nil)
	synced := map[string]int{}
	l.Sync = func(f *os.File) error {
		kind := "file"
		if info, err := f.Stat(); err == nil && info.IsDir() {
			kind = f.Name()
		}
		synced[kind]++
		return f.Sync()
	}
	_, err := l.Do(t.Context(), ops)
	must(t, err)
	if want := map[string]int{"file": 5, root: 1}; !reflect.DeepEqual(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}
	clear(synced)
	_, err = l.Do(t.Context(), ops)
	must(t, err)
	if len(synced) > 0 {
		t.Errorf("synced %v though nothing changed", synced)
	}
}

func TestAFailedSyncLeavesTheOldFile(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "f")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	l := host.NewLocal(nil)
	l.Sync = func(*os.File) error { return errors.New("input/output error") }
	receipts, err := l.Do(t.Context(), []host.Op{file(path, "new")})
	if err == nil || len(receipts) > 0 {
		t.Errorf("%v, %+v", err, receipts)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if got := names(t, root); string(data) != "old" || len(got) != 1 {
		t.Errorf("f is %q, and there is %q", data, got)
	}
}

// box is a handler whose things are in memory.
type box struct {
	things map[string]host.Fact
	fail   error
}

func (b *box) Look(_ context.Context, path string) (host.Fact, error) { return b.things[path], nil }

func (b *box) Do(_ context.Context, op host.Op) (host.Fact, error) {
	b.things[op.Path] = op.Want
	return op.Want, b.fail
}

func TestHandlers(t *testing.T) {
	b := &box{things: map[string]host.Fact{}}
	l := host.NewLocal(map[host.Kind]host.Handler{"box": b})
	op := func(action host.Action, data string) host.Op {
		return host.Op{
			Ref: host.Ref{Kind: "box", Path: "b"}, Action: action, Before: host.AnyBefore,
			Want: host.Fact{Exists: data != "", Data: []byte(data)},
		}
	}
	for _, tt := range []struct {
		op      host.Op
		changed bool
	}{
		{op(host.Create, "one"), true},
		{op(host.Create, "one"), false},
		{op(host.Wait, "one"), false},
		{op(host.Start, "one"), false},
		{op(host.Restart, "one"), true},
		{op(host.Stop, "two"), true},
		{op(host.Remove, ""), true},
		{op(host.Remove, ""), false},
	} {
		receipts, err := l.Do(t.Context(), []host.Op{tt.op})
		if err != nil || len(receipts) != 1 || receipts[0].Changed != tt.changed {
			t.Errorf("%s %s: %+v, %v", tt.op.Action, tt.op.Want.Data, receipts, err)
		}
	}
	b.fail = errors.New("it did not start")
	receipts, err := l.Do(t.Context(), []host.Op{op(host.Create, "half")})
	if err == nil || len(receipts) != 1 || !receipts[0].Changed {
		t.Errorf("what a failed op left has no receipt: %+v, %v", receipts, err)
	}
	b.fail = nil
	b.things["b"] = host.Fact{Exists: true, Foreign: "belongs to somebody else"}
	var foreign *host.ForeignError
	if _, err := l.Do(t.Context(), []host.Op{remove(op(host.Remove, ""))}); !errors.As(err, &foreign) {
		t.Errorf("somebody else's was removed: %v", err)
	}
}

func TestErrorsNameTheFileNotTheTemporaryOne(t *testing.T) {
	err := host.Failed("write", "/etc/x", &fs.PathError{Op: "open", Path: "/etc/.regctl-1-2.tmp", Err: fs.ErrPermission})
	if strings.Contains(err.Error(), ".tmp") || !errors.Is(err, fs.ErrPermission) || fault.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, fault.Hint(err))
	}
}
