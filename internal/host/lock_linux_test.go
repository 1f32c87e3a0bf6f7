package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Batches of several runs on one machine do not come in each other's way.
func TestBatchesTakeTurns(t *testing.T) {
	undo := filepath.Join(t.TempDir(), "undo")
	root := t.TempDir()
	path := filepath.Join(root, "hosts")
	put(t, path, "", 0o644)
	dir := ours{filepath.Join(root, "shared"), "", "dir,x"}
	var wg sync.WaitGroup
	for _, part := range strings.Split("abcdefgh", "") {
		wg.Go(func() {
			h := host.NewShell(undo)
			defer h.Close()
			// What another has changed in the meantime is planned anew.
			for range 100 {
				mine := ours{filepath.Join(dir.path, part), part, "file," + part}
				planned, err := step.Plan(t.Context(), h, []step.Step{dir, mine, edited{path, part}})
				if err == nil {
					_, err = step.Run(t.Context(), h, planned, noJournal{})
				}
				if err == nil {
					return
				}
				if !strings.Contains(err.Error(), "changed while") {
					t.Error(err)
					return
				}
			}
			t.Errorf("%s never had its turn", part)
		})
	}
	wg.Wait()
	if got := content(t, path); len(got) != 16 {
		t.Errorf("there is %q", got)
	}
	h := host.NewShell(undo)
	defer h.Close()
	if got := recorded(t, h, root); strings.Count(got, "\n") != 17 {
		t.Errorf("recorded\n%s", got)
	}
}

func TestAnotherRunThatDoesNotEnd(t *testing.T) {
	h, undo := undoable(t)
	locked, err := os.Open(filepath.Dir(filepath.Dir(filepath.Dir(undo))))
	must(t, err)
	defer locked.Close()
	must(t, syscall.Flock(int(locked.Fd()), syscall.LOCK_EX))
	// A minute passes at once.
	bin := t.TempDir()
	program, err := exec.LookPath("true")
	must(t, err)
	must(t, os.Symlink(program, filepath.Join(bin, "sleep")))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	f := ours{filepath.Join(t.TempDir(), "f"), "x", "file,x"}
	op := host.Op{Ref: f.ref(), Action: host.Create, Part: f.part, Want: fact("x", 0o644)}
	receipts, err := h.Do(t.Context(), []host.Op{op, op})
	if err == nil || !strings.HasPrefix(err.Error(), "another regctl has been changing this machine") || fault.Hint(err) == "" || len(receipts) > 0 {
		t.Errorf("%v, %+v", err, receipts)
	}
	gone(t, f.path)
	must(t, syscall.Flock(int(locked.Fd()), syscall.LOCK_UN))
	_, err = h.Do(t.Context(), []host.Op{op})
	must(t, err)
}
