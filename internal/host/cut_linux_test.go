package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// A run that dies at any moment is finished by the next, and what both did is taken
// back to the byte. To the other machine a run dies when its connection does.
func TestDiesAtAnyMoment(t *testing.T) {
	s := startSSHD(t)
	line := listenOn(t, s.port)
	known := filepath.Join(s.dir, "known_hosts")
	put(t, known, content(t, known)+strings.ReplaceAll(content(t, known), fmt.Sprint(s.port), fmt.Sprint(line.port)), 0o600)
	dial := func(port int) *host.SSH {
		target := s.target("root")
		target.Port = port
		h, err := host.DialSSH(t.Context(), target, s.options())
		must(t, err)
		return h
	}
	w := newWork(t)
	h := dial(line.port)
	began := line.sent.Load()
	must(t, w.run(h, w.steps))
	forth := line.sent.Load() - began
	must(t, w.run(h, w.back))
	must(t, h.Close())
	const cuts = 8
	for i := range int64(cuts) {
		for _, undoing := range []bool{false, true} {
			h := dial(line.port)
			if undoing {
				must(t, w.run(h, w.steps))
			}
			line.cut(line.sent.Load() + forth*i/cuts)
			if undoing {
				_ = w.run(h, w.back)
			} else {
				_ = w.run(h, w.steps) // it dies
			}
			line.cut(0)
			_ = h.Close()

			h = dial(s.port)
			if !undoing {
				must(t, w.run(h, w.steps))
				w.check(fmt.Sprintf("cut at %d of %d", i, cuts))
			}
			must(t, w.run(h, w.back))
			w.checkBack(fmt.Sprintf("cut at %d of %d, undoing %v", i, cuts, undoing))
			state := host.Ref{Kind: host.Dir, Path: "/var/lib/regctl"}
			facts, err := h.Look(t.Context(), []host.Ref{state})
			if err != nil || facts[state].Exists {
				t.Fatalf("cut at %d of %d, undoing %v: the record is still there: %v", i, cuts, undoing, err)
			}
			must(t, h.Close())
		}
	}
}

// TestKilledAtAnyMoment kills the script itself, as a machine does that loses its
// power, when it is about to start a process or to write.
func TestKilledAtAnyMoment(t *testing.T) {
	testenv.Need(t, "strace", "dash")
	w := newWork(t)
	undo := filepath.Join(t.TempDir(), "undo")
	bin := t.TempDir()
	put(t, filepath.Join(bin, "sh"), `#!/bin/sh
[ -n "$REGCTL_TEST_KILL" ] || exec /bin/dash "$@"
kill=$REGCTL_TEST_KILL
unset REGCTL_TEST_KILL
exec strace -qq -o /dev/null -e trace="${kill%%:*}" -e inject="$kill" /bin/dash "$@"
`, 0o755)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	session := func(kill string, steps []step.Step) error {
		t.Setenv("REGCTL_TEST_KILL", kill)
		h := host.NewShell(undo)
		defer h.Close()
		return w.run(h, steps)
	}
	for _, call := range []string{"vfork", "openat", "write"} {
		for _, undoing := range []bool{false, true} {
			died := 0
			for n, stride := 1, 1; ; n, stride = n+stride, 2*stride {
				kill := fmt.Sprintf("%s:signal=KILL:when=%d", call, n)
				steps := w.steps
				if undoing {
					must(t, session("", w.steps))
					steps = w.back
				}
				if err := session(kill, steps); err == nil {
					must(t, session("", w.back))
					break // it is through before that
				}
				died++
				if !undoing {
					must(t, session("", w.steps))
					w.check(kill)
				}
				must(t, session("", w.back))
				w.checkBack(fmt.Sprintf("%s, undoing %v", kill, undoing))
				if left, err := os.ReadDir(undo); err == nil && len(left) == 0 {
					// Its folder is empty, and goes with the next work that ends.
					must(t, session("", w.steps))
					must(t, session("", w.back))
				}
				gone(t, undo)
				if t.Failed() {
					t.FailNow()
				}
			}
			if t.Logf("%s, undoing %v: killed %d times", call, undoing, died); died == 0 {
				t.Error("it was never killed")
			}
		}
	}
}

// work is a bit of everything that a run does, and what takes it back.
type work struct {
	*testing.T
	root, before string
	file         ours
	steps, back  []step.Step
}

func newWork(t *testing.T) *work {
	w := &work{T: t, root: t.TempDir()}
	put(t, w.at("daemon.json"), "{\r\n}", 0o640)
	put(t, w.at("ca.crt"), "another's", 0o644)
	dir := ours{w.at("certs.d"), "", "dir,x"}
	w.file = ours{w.at("certs.d/ca.crt"), strings.Repeat("certificate\n", 40), "file,x"}
	big := ours{w.at("certs.d/big"), strings.Repeat("certificate\n", 400), "file,x"}
	edits := []edited{{w.at("daemon.json"), "one"}, {w.at("ca.crt"), "one"}, {w.at("hosts"), "one"}}
	w.steps = []step.Step{dir, edits[0], w.file, edits[1], big, edits[2]}
	w.back = []step.Step{left{edits[2]}, away{big}, left{edits[1]}, away{w.file}, left{edits[0]}, away{dir}}
	w.before = steptest.Tree(t, w.root)
	return w
}

func (w *work) at(name string) string { return filepath.Join(w.root, name) }

func (w *work) run(h host.Host, steps []step.Step) error {
	planned, err := step.Plan(w.Context(), h, steps)
	if err == nil {
		_, err = step.Run(w.Context(), h, planned, noJournal{})
	}
	return err
}

func (w *work) check(when string) {
	w.Helper()
	if content(w.T, w.file.path) != w.file.data || content(w.T, w.at("daemon.json")) != "{\r\n}+one" || content(w.T, w.at("ca.crt")) != "another's+one" {
		w.Errorf("%s: it is not as it should be", when)
	}
}

func (w *work) checkBack(when string) {
	w.Helper()
	if after := steptest.Tree(w.T, w.root); after != w.before {
		w.Fatalf("%s: not as before:\n%s\nwas\n%s", when, after, w.before)
	}
}
