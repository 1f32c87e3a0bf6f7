package statedir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// tmpfs mounts a small one.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	testenv.Need(t, "root")
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what room there is, but for some bytes.
func fill(t *testing.T, dir string, but int) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	info, err := f.Stat()
	must(t, err)
	must(t, f.Close())
	must(t, os.Truncate(filler, max(0, info.Size()-int64(but))))
}

// However much room is left, an init that runs out of it says so and leaves a
// machine that destroy clears.
func TestDiskFull(t *testing.T) {
	base := tmpfs(t, "size=512k")
	d := Dir(filepath.Join(base, "lib", "registry"))
	failed := 0
	for room := 0; ; room += 8 << 10 {
		fill(t, base, room)
		before := steptest.Tree(t, base)
		err := initHere(t.Context(), d)
		if err != nil {
			failed++
			if !errors.Is(err, syscall.ENOSPC) || fault.Hint(err) == "" || !strings.Contains(err.Error(), string(d)) {
				t.Errorf("with %d bytes: %v, hint %q", room, err, fault.Hint(err))
			}
		}
		if class, err := Classify(d); err != nil {
			t.Fatal(err)
		} else if class.Kind == Ours {
			destroy(t, d)
		}
		if after := steptest.Tree(t, base); after != before {
			t.Fatalf("with %d bytes destroy left\n%s\nit was\n%s", room, after, before)
		}
		if err == nil {
			break
		}
	}
	if failed < 5 {
		t.Errorf("only %d sizes were too small", failed)
	}
}

func initHere(ctx context.Context, d Dir) error {
	lock, err := Claim(ctx, d, "registry", time.Second, "regctl init")
	if err != nil {
		return err
	}
	s, err := LoadState(d)
	if err != nil {
		return err
	}
	h := host.NewLocal(nil)
	planned, err := step.Plan(ctx, h, initSteps(d, ""))
	if err != nil {
		return err
	}
	_, err = step.Run(ctx, h, planned, &Journal{Dir: d, State: &s})
	return errors.Join(err, lock.Release())
}
