package statedir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/regctl/regctl/internal/statedir"
)

func TestPlant(t *testing.T) {
	fill := func(inside statedir.Dir, made []string) error {
		data, err := statedir.Encode(statedir.State{Phase: statedir.PhaseReady, Made: made})
		return errors.Join(err, os.WriteFile(inside.State(), data, 0o600))
	}
	t.Run("parents and all", func(t *testing.T) {
		parent := filepath.Join(t.TempDir(), "a")
		d := statedir.Dir(filepath.Join(parent, "b"))
		if err := statedir.Plant(d, fill); err != nil {
			t.Fatal(err)
		}
		s, err := statedir.LoadState(d)
		if err != nil || !slices.Equal(s.Made, []string{parent, string(d)}) {
			t.Errorf("%v %v", s.Made, err)
		}
	})
	t.Run("an empty folder", func(t *testing.T) {
		d := statedir.Dir(t.TempDir())
		if err := statedir.Plant(d, fill); err != nil {
			t.Fatal(err)
		}
		if s, err := statedir.LoadState(d); err != nil || len(s.Made) != 0 {
			t.Errorf("%v %v", s.Made, err)
		}
	})
	t.Run("one that came meanwhile", func(t *testing.T) {
		parent := t.TempDir()
		d := statedir.Dir(filepath.Join(parent, "b"))
		err := statedir.Plant(d, func(inside statedir.Dir, made []string) error {
			return errors.Join(fill(inside, made), os.Mkdir(string(d), 0o700), os.WriteFile(d.Join("x"), nil, 0o600))
		})
		only(t, parent, "b")
		if _, missing := os.Stat(d.Join("x")); err == nil || missing != nil {
			t.Errorf("%v, %v", err, missing)
		}
	})
	t.Run("failure", func(t *testing.T) {
		parent := t.TempDir()
		wanted := errors.New("no")
		err := statedir.Plant(statedir.Dir(filepath.Join(parent, "a", "b")), func(inside statedir.Dir, made []string) error {
			return errors.Join(fill(inside, made), wanted)
		})
		if !errors.Is(err, wanted) {
			t.Error(err)
		}
		only(t, parent)
	})
}

// only demands what is in a folder.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) || len(want) > 0 && entries[0].Name() != want[0] {
		t.Errorf("%v %v, want %v", entries, err, want)
	}
}
