package statedir

import (
	"bufio"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// victim is a machine on which an init is killed.
type victim struct {
	*testing.T
	base, foreign, before string
	d                     Dir
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{T: t, base: t.TempDir()}
	v.foreign, v.d = filepath.Join(v.base, "hosts"), Dir(filepath.Join(v.base, "var", "lib", "regctl", "registry"))
	must(t, os.WriteFile(v.foreign, []byte("theirs\n"), 0o640))
	v.before = steptest.Tree(t, v.base)
	return v
}

// recovers runs init again, and then destroy, and looks that all is well.
func (v *victim) recovers() {
	v.Helper()
	p, journalled, err := readJournal(v.d)
	must(v.T, err)
	if out, err := child(v.T, "init", string(v.d), v.foreign).CombinedOutput(); err != nil {
		v.Fatalf("init again: %v\n%s", err, out)
	}
	if journalled {
		v.madeOnce(p)
	}
	h := host.NewLocal(nil)
	planned, err := step.Plan(v.Context(), h, initSteps(v.d, v.foreign))
	if err != nil || !planned.Empty() {
		v.Errorf("not all is as wanted: %v, %v", planned.Items(), err)
	}
	v.noTemporaries()
	v.goes()
}

// goes runs destroy, and looks that nothing is left.
func (v *victim) goes() {
	v.Helper()
	class, err := Classify(v.d)
	must(v.T, err)
	if class.Kind == Absent {
		must(v.T, ClearAway(v.d))
	} else if left := destroy(v.T, v.d); len(left) > 0 {
		v.Errorf("destroy left %q", left)
	}
	if after := steptest.Tree(v.T, v.base); after != v.before {
		v.Errorf("destroy left the machine as\n%s\nit was\n%s", after, v.before)
	}
}

// madeOnce compares the values in the journal with those in use.
func (v *victim) madeOnce(p pending) {
	v.Helper()
	for _, op := range p.Ops {
		if op.Kind != host.File {
			continue
		}
		data, err := os.ReadFile(op.Path)
		if err != nil || string(data) != string(op.Want.Data) {
			v.Errorf("%s was made anew: %q, %v", op.Path, data, err)
		}
	}
}

func (v *victim) noTemporaries() {
	v.Helper()
	err := filepath.WalkDir(v.base, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".regctl-") {
			v.Errorf("%s was left", path)
		}
		return err
	})
	must(v.T, err)
}

// Before and after each op and each fsync.
func TestKilledAtEachPlace(t *testing.T) {
	for n := 1; ; n++ {
		v := newVictim(t)
		err := v.killAt(n)
		v.recovers()
		v = newVictim(t)
		_ = v.killAt(n)
		v.goes()
		if t.Failed() {
			t.Fatalf("killed at place %d", n)
		}
		if err == nil {
			t.Logf("%d places", n-1)
			if n < 20 {
				t.Errorf("only %d places", n-1)
			}
			return
		}
	}
}

// killAt runs an init that kills itself at its n-th place. Without an error it had
// no such place.
func (v *victim) killAt(n int) error {
	v.Helper()
	cmd := child(v.T, "init", string(v.d), v.foreign)
	cmd.Env = append(cmd.Env, fmt.Sprint("KILL_AT=", n))
	out, err := cmd.CombinedOutput()
	if err != nil && (!isExit(err) || strings.Contains(string(out), ":")) {
		v.Fatalf("place %d: %v\n%s", n, err, out)
	}
	return err
}

func TestKilledAtRandomMoments(t *testing.T) {
	v := newVictim(t)
	whole := v.killAfter(time.Minute)
	v.recovers()
	for range 20 {
		v := newVictim(t)
		moment := time.Duration(rand.Int64N(int64(whole)))
		v.killAfter(moment)
		v.recovers()
		v = newVictim(t)
		v.killAfter(moment / 20)
		v.goes()
		if t.Failed() {
			t.Fatalf("killed after %s of %s, or a twentieth of that", moment, whole)
		}
	}
}

// killAfter runs init and kills it some time after it began. It returns how long
// it ran.
func (v *victim) killAfter(moment time.Duration) time.Duration {
	v.Helper()
	cmd := child(v.T, "init", string(v.d), v.foreign)
	out, err := cmd.StdoutPipe()
	must(v.T, err)
	must(v.T, cmd.Start())
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		v.Fatal(err)
	}
	began := time.Now()
	timer := time.AfterFunc(moment, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil && !isExit(err) {
		v.Fatal(err)
	}
	return time.Since(began)
}

// All of an init, counted from outside: the budget is 15.
func TestFsyncs(t *testing.T) {
	testenv.Need(t, "strace")
	v := newVictim(t)
	cmd := child(t, "init", string(v.d), "")
	trace := filepath.Join(t.TempDir(), "trace")
	strace := child(t, "init")
	path, err := exec.LookPath("strace")
	must(t, err)
	strace.Path, strace.Args = path, append([]string{"strace", "-f", "-o", trace, "-e", "trace=fsync,fdatasync,syncfs,sync"}, cmd.Args...)
	if out, err := strace.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(trace)
	must(t, err)
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "sync(") || strings.Contains(line, "syncfs(") {
			n++
		}
	}
	t.Logf("%d fsyncs", n)
	if n < 8 || n > 13 {
		t.Errorf("%d fsyncs, want at most 13 so that the runtime has some left of 15:\n%s", n, data)
	}
}
