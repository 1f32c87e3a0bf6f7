package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

// Most of what the script costs a machine are the processes that it starts: not more
// than these.
func TestHowManyProcesses(t *testing.T) {
	testenv.Need(t, "strace", "dash", "unshare")
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	// The first sh becomes the second, which is traced. Daemons of this machine are
	// out of its sight.
	must(t, os.Mkdir(at("bin"), 0o755))
	put(t, at("bin/sh"), `#!/bin/sh
[ -z "$REGCTL_TEST_LOG" ] || exec /bin/dash "$@"
export REGCTL_TEST_LOG="${0%/*}/../log"
exec unshare -m strace -f -qq -e trace=clone,clone3,fork,vfork -e signal=none -o "$REGCTL_TEST_LOG" /bin/dash "$@"
`, 0o755)
	t.Setenv("PATH", at("bin")+":"+os.Getenv("PATH"))
	started := regexp.MustCompile(`(?m)\) += \d+$`)
	undo, idle := at("undo"), 0
	run := func(name string, most int, f func(h *host.Shell)) {
		h := host.NewShell(undo)
		f(h)
		must(t, h.Close())
		n := len(started.FindAllString(content(t, at("log")), -1)) - idle
		t.Logf("%s: %d", name, n)
		if n > most || n < 0 {
			t.Errorf("%s: %d processes, at most %d", name, n, most)
		}
		if idle == 0 {
			idle = n
		}
	}
	look := func(refs ...host.Ref) func(h *host.Shell) {
		return func(h *host.Shell) {
			_, err := h.Look(t.Context(), refs)
			must(t, err)
		}
	}
	a, b, c := ours{at("a"), "", "dir,x"}, ours{at("a/b"), "", "dir,x"}, ours{at("a/b/c"), "", "dir,x"}
	ca := ours{at("a/b/c/ca.crt"), strings.Repeat("certificate\n", 80), "file,x,docker"}
	paths := []host.Ref{a.ref(), b.ref(), c.ref(), ca.ref(), {Kind: host.Edit, Path: ca.path}}
	for _, name := range []string{"1", "2", "3"} {
		paths = append(paths, host.Ref{Kind: host.Source, Path: at(name)})
	}
	run("to begin with", 1, look(host.Ref{Kind: host.Source, Path: at("1")}))
	run("who it is", 0, look(host.WhoamiRef()))
	run("a machine without Docker", 1, look(host.MachineRef())) // which reads the rest of the script
	run("eight paths that are not there", 0, look(paths...))
	run("a CA in three folders", 4, func(h *host.Shell) { carryOut(t, h, a, b, c, ca) })
	run("the same again", 2, look(paths...))
	run("its end", 21, func(h *host.Shell) { carryOut(t, h, away{ca}, away{c}, away{b}, away{a}) })
}
