package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// A user cannot have root write elsewhere through a link in a folder of their own.
func TestRootFollowsNobody(t *testing.T) {
	testenv.Need(t, "root")
	h, undo := undoable(t)
	root := t.TempDir()
	must(t, os.Chmod(root, 0o755))
	at := func(name string) string { return filepath.Join(root, name) }
	const user, third = 12345, 12346
	folder := func(name string, uid int) {
		must(t, os.Mkdir(at(name), 0o755))
		must(t, os.Chown(at(name), uid, uid))
	}
	link := func(target, name string) {
		must(t, os.Symlink(target, at(name)))
		must(t, os.Lchown(at(name), user, user))
	}
	folder("etc", 0)
	put(t, at("etc/daemon.json"), "{}", 0o644)
	folder("home", user)
	folder("home/good", user)
	folder("home/roots", 0)
	folder("home/thirds", third)
	put(t, at("home/good/theirs"), "{}", 0o644)
	must(t, os.Chown(at("home/good/theirs"), user, user))
	link("../etc", "home/bad")
	link("../../etc/daemon.json", "home/good/bad.json")
	link("theirs", "home/good/good.json")
	must(t, os.Symlink("home", at("link"))) // root's own
	want := func(data string) host.Fact {
		return host.Fact{Exists: true, Data: []byte(data), Mode: 0o644, UID: user, GID: user}
	}
	do := func(kind host.Kind, name string) error {
		f := want("x\n")
		if kind == host.Dir {
			f = host.Fact{Exists: true, Mode: 0o755, UID: user, GID: user}
		}
		_, err := h.Do(t.Context(), []host.Op{{Ref: host.Ref{Kind: kind, Path: at(name)}, Action: host.Create, Part: "x", Before: host.AnyBefore, Want: f}})
		return err
	}
	before := steptest.Tree(t, root)
	for kind, names := range map[host.Kind][]string{
		host.File: {"home/bad/f", "home/thirds/f", "home/bad/no/f"}, host.Dir: {"home/bad/d", "link/bad/d", "home/thirds/d"},
		host.Edit: {"home/bad/daemon.json", "home/good/bad.json", "home/thirds/f"},
	} {
		for _, name := range names {
			if err := do(kind, name); err == nil || !strings.Contains(err.Error(), "root does not go there") || fault.Hint(err) == "" {
				t.Errorf("%s %s: %v", kind, name, err)
			}
		}
	}
	if after := steptest.Tree(t, root); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
	gone(t, undo)
	for _, name := range []string{"home/f", "home/good/f", "home/roots/f", "link/f2", "etc/f"} {
		must(t, do(host.File, name))
	}
	must(t, do(host.Dir, "link/good/d"))
	must(t, do(host.File, "home/good/d/f"))
	must(t, do(host.Edit, "home/good/good.json"))
	if content(t, at("home/good/theirs")) != "x\n" {
		t.Error("their own link was not followed")
	}
	// What came later counts as well, when a thing is taken away.
	must(t, os.Rename(at("home/good"), at("home/was")))
	put(t, at("etc/f"), "x\n", 0o644)
	link("../etc", "home/good")
	_, err := h.Do(t.Context(), []host.Op{{Ref: host.Ref{Kind: host.File, Path: at("home/good/f")}, Action: host.Remove, Part: "x", Before: host.AnyBefore}})
	if err == nil || content(t, at("etc/f")) != "x\n" {
		t.Errorf("removed through a link: %v", err)
	}
}
