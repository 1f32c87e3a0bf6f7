package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// undoable is a shell host, and the folder where it keeps originals.
func undoable(t *testing.T) (h host.Host, undo string) {
	t.Helper()
	undo = filepath.Join(t.TempDir(), "lib", "regctl", "undo")
	s := host.NewShell(undo)
	t.Cleanup(func() { must(t, s.Close()) })
	return s, undo
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", path, err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestPartsLeaveInAnyOrder(t *testing.T) {
	for _, order := range [][]string{{"one", "two"}, {"two", "one"}} {
		h, undo := undoable(t)
		root := t.TempDir()
		path, absent := filepath.Join(root, "daemon.json"), filepath.Join(root, "absent")
		put(t, path, "{\r\n}\xff", 0o640)
		before := steptest.Tree(t, root)
		for _, part := range []string{"one", "two"} {
			carryOut(t, h, edited{path, part}, edited{absent, part})
		}
		carryOut(t, h, left{edited{path, order[0]}}, left{edited{absent, order[0]}})
		if got := content(t, path); !strings.HasSuffix(got, "+"+order[1]) || strings.Contains(got, order[0]) {
			t.Errorf("%q with %s alone", got, order[1])
		}
		carryOut(t, h, left{edited{path, order[1]}}, left{edited{absent, order[1]}})
		// The editor above would leave an empty file where none was.
		if after := steptest.Tree(t, root); after != before {
			t.Errorf("%v: not as before:\n%s\nwas\n%s", order, after, before)
		}
		gone(t, filepath.Dir(filepath.Dir(undo)))
	}
}

func TestWhatOthersChangedStays(t *testing.T) {
	h, undo := undoable(t)
	path := filepath.Join(t.TempDir(), "hosts")
	put(t, path, "a\n", 0o644)
	carryOut(t, h, edited{path, "one"})
	put(t, path, content(t, path)+"\ntheirs\n", 0o600)
	carryOut(t, h, edited{path, "two"})
	ref := edited{path, "one"}.ref()
	facts, err := h.Look(t.Context(), []host.Ref{ref})
	must(t, err)
	record := facts[ref].Edit
	if record == nil || !record.Others || !record.Has("one") || !record.Has("two") || record.Original == "" {
		t.Errorf("record %+v", record)
	}
	carryOut(t, h, left{edited{path, "two"}})
	receipts := carryOut(t, h, left{edited{path, "one"}})
	info, err := os.Stat(path)
	must(t, err)
	if got := content(t, path); got != "a\n\ntheirs\n" || info.Mode() != 0o600 || receipts[0].Note == "" {
		t.Errorf("%q, mode %s, note %q", got, info.Mode(), receipts[0].Note)
	}
	gone(t, undo)
}

// An editor that was killed between the record and the file does no harm.
func TestARecordWithoutItsChange(t *testing.T) {
	h, undo := undoable(t)
	path := filepath.Join(t.TempDir(), "hosts")
	put(t, path, "a\n", 0o644)
	carryOut(t, h, edited{path, "one"})
	put(t, path, "a\n", 0o644)
	carryOut(t, h, left{edited{path, "one"}})
	if got := content(t, path); got != "a\n" {
		t.Errorf("%q", got)
	}
	gone(t, undo)
}

func TestEditsKeepOwnerModeAndAttributes(t *testing.T) {
	testenv.Need(t, "root")
	h, _ := undoable(t)
	path := filepath.Join(t.TempDir(), "daemon.json")
	put(t, path, "{}", 0o604)
	must(t, os.Chown(path, 1234, 2345))
	if err := unix.Setxattr(path, "user.note", []byte("theirs"), 0); err != nil {
		t.Skipf("needs extended attributes: %v", err)
	}
	check := func() {
		t.Helper()
		info, err := os.Stat(path)
		must(t, err)
		st := info.Sys().(*syscall.Stat_t)
		value := make([]byte, 16)
		n, err := unix.Getxattr(path, "user.note", value)
		if info.Mode() != 0o604 || st.Uid != 1234 || st.Gid != 2345 || err != nil || string(value[:n]) != "theirs" {
			t.Errorf("%s %d:%d %q %v", info.Mode(), st.Uid, st.Gid, value[:max(n, 0)], err)
		}
	}
	carryOut(t, h, edited{path, "one"})
	check()
	carryOut(t, h, left{edited{path, "one"}})
	check()
}

func TestEditOfAMountPoint(t *testing.T) {
	testenv.Need(t, "root")
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	put(t, at("source"), "a longer original", 0o644)
	put(t, at("hosts"), "", 0o600)
	mount(t, at("source"), at("hosts"), "", syscall.MS_BIND, "")
	receipts := carryOut(t, h, edited{at("hosts"), "one"})
	if got := content(t, at("source")); got != "a longer original+one" || receipts[0].Note == "" {
		t.Errorf("%q, note %q", got, receipts[0].Note)
	}
	carryOut(t, h, left{edited{at("hosts"), "one"}})
	if got := names(t, root); content(t, at("source")) != "a longer original" || len(got) != 2 {
		t.Errorf("%q, %q", content(t, at("source")), got)
	}
	gone(t, undo)
}

func TestEditsThatCannotBe(t *testing.T) {
	testenv.Need(t, "root")
	full, readOnly := t.TempDir(), t.TempDir()
	mount(t, "tmpfs", full, "tmpfs", 0, "size=64k")
	put(t, filepath.Join(full, "f"), "{}", 0o644)
	mount(t, "tmpfs", readOnly, "tmpfs", syscall.MS_RDONLY, "")
	h, undo := undoable(t)
	for _, path := range []string{filepath.Join(full, "f"), filepath.Join(readOnly, "f")} {
		part := edited{path, "one"}
		op := host.Op{
			Ref: part.ref(), Action: host.Create, Part: "one", Before: host.AnyBefore,
			Want: host.Fact{Exists: true, Data: []byte(strings.Repeat("x", 1<<18)), Mode: 0o644},
		}
		receipts, err := h.Do(t.Context(), []host.Op{op})
		if err == nil || fault.Hint(err) == "" || !strings.HasPrefix(err.Error(), "write "+path+": ") || len(receipts) > 0 {
			t.Errorf("%v, hint %q, %d receipts", err, fault.Hint(err), len(receipts))
		}
		gone(t, undo)
	}
	for _, text := range []string{strings.Repeat("x", 1<<18), strings.Repeat("line of text\n", 1<<14), "one line\n"} {
		put(t, filepath.Join(full, "filler"), strings.Repeat("x", 60<<10), 0o644)
		f := ours{filepath.Join(full, "new"), text, "file,a"}
		op := host.Op{Ref: f.ref(), Action: host.Create, Part: f.part, Want: fact(text, 0o644)}
		receipts, err := h.Do(t.Context(), []host.Op{op})
		if err == nil || err.Error() != "write "+f.path+": no space left on device" || len(receipts) > 0 {
			t.Errorf("%v, %d receipts", err, len(receipts))
		}
		must(t, os.Remove(filepath.Join(full, "filler")))
		gone(t, f.path)
		gone(t, undo)
	}
	if got := names(t, full); content(t, filepath.Join(full, "f")) != "{}" || len(got) != 1 {
		t.Errorf("there is %q", got)
	}
	// No room for the original: the file is not touched.
	cramped := host.NewShell(filepath.Join(full, "undo"))
	defer cramped.Close()
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, strings.Repeat("x", 1<<18), 0o644)
	part := edited{path, "one"}
	_, err := cramped.Do(t.Context(), []host.Op{{
		Ref: part.ref(), Action: host.Change, Part: "one", Before: host.AnyBefore,
		Want: host.Fact{Exists: true, Data: []byte("new"), Mode: 0o644},
	}})
	if err == nil || !strings.HasPrefix(err.Error(), "save the original of "+path+": no space left") || len(content(t, path)) != 1<<18 {
		t.Error(err)
	}
	gone(t, filepath.Join(full, "undo"))
}

func TestEditsThroughSymlinks(t *testing.T) {
	h, undo := undoable(t)
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	for name, to := range map[string]string{"loop": "loop", "nowhere": "missing/f", "chain": "between", "between": at("f"), "new": "later"} {
		must(t, os.Symlink(to, at(name)))
	}
	put(t, at("f"), "theirs", 0o640)
	before := steptest.Tree(t, root)
	for _, name := range []string{"loop", "nowhere"} {
		ref := edited{at(name), "one"}.ref()
		want := host.Fact{Exists: true, Data: []byte("ours"), Mode: 0o644}
		receipts, err := h.Do(t.Context(), []host.Op{{Ref: ref, Action: host.Create, Part: "one", Before: host.AnyBefore, Want: want}})
		var foreign *host.ForeignError
		if !errors.As(err, &foreign) || foreign.What != "a symlink that leads nowhere" || len(receipts) > 0 {
			t.Errorf("%s: %v, %d receipts", name, err, len(receipts))
		}
	}
	carryOut(t, h, edited{at("chain"), "one"}, edited{at("new"), "one"})
	if got := content(t, at("f")); got != "theirs+one" || content(t, at("later")) == "" {
		t.Errorf("%q", got)
	}
	carryOut(t, h, left{edited{at("chain"), "one"}}, left{edited{at("new"), "one"}})
	if after := steptest.Tree(t, root); after != before {
		t.Errorf("not as before:\n%s\nwas\n%s", after, before)
	}
	gone(t, undo)
}

// TestEditOfALargeFile is an /etc/hosts that blocks all that advertises.
func TestEditOfALargeFile(t *testing.T) {
	h, _ := undoable(t)
	path := filepath.Join(t.TempDir(), "hosts")
	text := strings.Repeat("0.0.0.0 ads.example\n", 50_000)
	put(t, path, text, 0o644)
	start := time.Now()
	carryOut(t, h, edited{path, "one"}) // which plans twice
	carryOut(t, h, left{edited{path, "one"}})
	if got := content(t, path); got != text {
		t.Errorf("%d bytes, want %d", len(got), len(text))
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestLocalHasEditsAndActionsToo(t *testing.T) {
	l := host.NewLocal(nil)
	facts, err := l.Look(t.Context(), []host.Ref{host.MachineRef()})
	must(t, err)
	if m := host.ParseMachine(facts[host.MachineRef()]); m.UID != os.Geteuid() || m.Home == "" || m.Arch == "" {
		t.Errorf("%+v", m)
	}
	_, err = l.Do(t.Context(), []host.Op{host.RestartService("../x")})
	if err == nil || err.Error() != "restart-service: not the name of a service" {
		t.Error(err)
	}
	untouched := file(filepath.Join(t.TempDir(), "f"), "x")
	reload := host.RestartService("-x")
	reload.OnlyIf = []host.Ref{untouched.Ref}
	receipts, err := l.Do(t.Context(), []host.Op{remove(untouched), reload})
	if err != nil || len(receipts) != 2 || receipts[1].Changed {
		t.Errorf("%v, %+v", err, receipts)
	}
}
