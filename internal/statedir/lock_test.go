package statedir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

func TestLockNamesItsHolder(t *testing.T) {
	d := Dir(t.TempDir())
	cmd := child(t, "hold", string(d))
	in, err := cmd.StdinPipe() // open until it is killed
	must(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, err = Acquire(t.Context(), d, 60*time.Millisecond, "regctl apply")
	want := fmt.Sprintf("%s is held by pid %d (regctl init) since ", d, cmd.Process.Pid)
	if err == nil || !strings.HasPrefix(err.Error(), want) || fault.Hint(err) == "" || fault.IsUsage(err) {
		t.Errorf("error %v, want %s…", err, want)
	}
	must(t, cmd.Process.Kill())
	lock, err := Acquire(t.Context(), d, 10*time.Second, "regctl apply")
	if err != nil {
		t.Fatalf("the holder is dead, but: %v", err)
	}
	must(t, lock.Release())
	must(t, lock.Release())
	if err := cmd.Wait(); !isExit(err) {
		t.Error(err)
	}
}

func TestLockNeedsADirectory(t *testing.T) {
	if _, err := Acquire(t.Context(), Dir(filepath.Join(t.TempDir(), "none")), 0, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestLockWaitEndsWithItsContext(t *testing.T) {
	d := Dir(t.TempDir())
	held(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Acquire(ctx, d, time.Minute, "y"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Many commands at once make, hold and erase the same registry: one at a time.
func TestClaimRace(t *testing.T) {
	base := t.TempDir()
	d := Dir(filepath.Join(base, "a", "b", "registry"))
	var holders atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				lock, err := Claim(t.Context(), d, "registry", time.Minute, "regctl init")
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				if s, err := LoadState(d); err != nil || s.Phase != PhaseCreating {
					t.Errorf("state %+v, %v", s, err)
				}
				holders.Add(-1)
				if _, err := Erase(d, lock); err != nil {
					t.Errorf("erase: %v", err)
				}
			}
		})
	}
	group.Wait()
	if _, err := os.Stat(string(d)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
