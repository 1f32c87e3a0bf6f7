package statedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/host"
)

// Claim makes d a registry's directory if it is not one yet, and locks it. After
// a kill at any moment d either does not exist or says, in its state, which
// directories were made for it.
func Claim(ctx context.Context, d Dir, name string, timeout time.Duration, command string) (*Lock, error) {
	for {
		class, err := Classify(d)
		if err != nil {
			return nil, err
		}
		switch class.Kind {
		case Foreign:
			return nil, ForeignFault(d, class)
		case Absent:
			if err := create(d, name); err != nil {
				return nil, err
			}
		}
		lock, err := Acquire(ctx, d, timeout, command)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by the one that held it
		}
		if err != nil {
			return nil, err
		}
		if err := settle(d, name); err != nil {
			return nil, errors.Join(err, lock.Release())
		}
		return lock, nil
	}
}

// settle finishes, under the lock, what a claim needs beyond the directory.
func settle(d Dir, name string) error {
	s, err := LoadState(d)
	if err == nil && s.Phase == "" {
		err = Save(d, newState(name, nil))
	}
	return errors.Join(err, sweepCreations(d))
}

func newState(name string, made []string) State {
	return State{Name: name, Phase: PhaseCreating, Made: made, CreatedAt: time.Now().UTC().Truncate(time.Second)}
}

// create makes d under another name, with its state inside, and renames it: d
// never exists without the record of what was made for it. Parents, made before,
// stay behind empty if we are killed in between.
func create(d Dir, name string) error {
	made := missing(string(d))
	parent := filepath.Dir(string(d))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return writeFault(parent, err)
	}
	temp := Dir(filepath.Join(parent, fmt.Sprintf("%s%d.tmp", creationPrefix(d), os.Getpid())))
	err := os.Mkdir(string(temp), 0o700)
	if err == nil {
		err = writeFirst(temp, newState(name, made))
	}
	if err == nil {
		err = os.Rename(string(temp), string(d))
	}
	if err == nil {
		return nil
	}
	os.RemoveAll(string(temp)) // the error that led here says more
	if class, _ := Classify(d); class.Kind == Ours {
		return nil // another command was faster
	}
	for _, dir := range slices.Backward(made) {
		os.Remove(dir) // if it is still empty
	}
	return writeFault(string(d), err)
}

// writeFirst puts a state on disk where nobody can see it yet, in one fsync.
func writeFirst(d Dir, s State) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(d.State(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// missing lists path and its parents that are not there, the outermost first.
func missing(path string) []string {
	var made []string
	for {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return made
		}
		made = append([]string{path}, made...)
		path = filepath.Dir(path)
	}
}

func creationPrefix(d Dir) string { return ".regctl-" + filepath.Base(string(d)) + "." }

// sweepCreations clears away what killed claims of d left beside it. d is locked,
// so another claim of it that is under way must fail anyway, and start over.
func sweepCreations(d Dir) error {
	parent := filepath.Dir(string(d))
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil // a parent that may be passed but not read has none of ours to see
	}
	for _, e := range entries {
		pid, ours := strings.CutPrefix(e.Name(), creationPrefix(d))
		pid, temp := strings.CutSuffix(pid, ".tmp")
		if !ours || !temp || strings.Trim(pid, "0123456789") != "" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
			return writeFault(parent, err)
		}
	}
	return nil
}

// Erase removes what is regctl's own in d, its record last, then the directories
// that were made for it and are empty now, d first. The lock goes with it. It
// names what stays because it holds something.
func Erase(d Dir, lock *Lock) (left []string, err error) {
	s, err := LoadState(d)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{d.Journal(), d.LockFile(), d.State()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, writeFault(path, err)
		}
	}
	for _, dir := range slices.Backward(s.Made) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, dir)
			break // its parents hold it
		}
	}
	return left, lock.Release()
}

// writeFault names path where err has a temporary name, and adds a hint.
func writeFault(path string, err error) error { return host.Failed("make", path, err) }
