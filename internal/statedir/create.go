package statedir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Claim makes d a registry's directory if it is not one yet, and locks it. After
// a kill at any moment d either does not exist or says, in its state, which
// directories were made for it.
func Claim(ctx context.Context, d Dir, name string, timeout time.Duration, command string) (*Lock, error) {
	for attempt := 0; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		class, err := Classify(d)
		if err != nil {
			return nil, err
		}
		switch class.Kind {
		case Foreign:
			return nil, ForeignFault(d, class)
		case Absent:
			if err := create(d, name); err != nil && (!wasFaster(err) || attempt >= claimAttempts) {
				return nil, err
			}
		}
		lock, err := Acquire(ctx, d, timeout, command)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another command was about to remove it
		}
		if err != nil {
			return nil, err
		}
		if err := settle(d, name); err != nil {
			if class.Kind == Empty {
				_ = os.Remove(d.LockFile()) // of a directory that was there nothing stays
			}
			return nil, errors.Join(err, lock.Release())
		}
		return lock, nil
	}
}

// claimAttempts is how often others may make and remove the directory under our
// hands before it is taken for something else.
const claimAttempts = 1000

// wasFaster is true of errors that come of others making or removing the same
// directories.
func wasFaster(err error) bool { return errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) }

// settle finishes, under the lock, what a claim needs beyond the directory.
func settle(d Dir, name string) error {
	s, err := LoadState(d)
	if err == nil && s.Phase == "" {
		err = Save(d, newState(name, nil))
	}
	return errors.Join(err, sweepAside(d, s.Made))
}

func newState(name string, made []string) State {
	return State{Name: name, Phase: PhaseCreating, Made: made, CreatedAt: time.Now().UTC().Truncate(time.Second)}
}

// create makes d and the parents that it lacks under another name, with its state
// inside, and renames the outermost: none of them ever exists without the record
// of what was made.
func create(d Dir, name string) error {
	made := missing(string(d))
	if len(made) == 0 {
		return dangling(string(d))
	}
	top := made[0]
	if err := dangling(filepath.Dir(top)); !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp := aside(top, d)
	inside := Dir(filepath.Join(temp, strings.TrimPrefix(string(d), filepath.Dir(top))))
	err := os.MkdirAll(string(inside), 0o700)
	if err == nil {
		err = writeFirst(inside, newState(name, append(inherited(d), made...)))
	}
	if err == nil {
		err = os.Rename(filepath.Join(temp, filepath.Base(top)), top)
	}
	_ = os.RemoveAll(temp) // what is in it, if anything, has failed
	if err == nil {
		return nil
	}
	return writeFault(string(d), err)
}

// dangling refuses a symlink that leads nowhere. Of anything else it says only
// that it exists.
func dangling(path string) error {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if _, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return fault.Usage("remove it, or choose another place with --dir", "%s is a symlink that leads nowhere", path)
		}
	}
	return fs.ErrExist
}

// inherited lists the parents of d that were made for registries beside it: the
// last of them to go takes those parents with it.
func inherited(d Dir) []string {
	var made []string
	parent := filepath.Dir(string(d))
	for _, name := range registries(parent) {
		s, err := LoadState(Dir(filepath.Join(parent, name)))
		if err != nil {
			continue
		}
		for _, dir := range s.Made {
			if strings.HasPrefix(parent+sep, dir+sep) && !slices.Contains(made, dir) {
				made = append(made, dir)
			}
		}
	}
	slices.Sort(made)
	return made
}

const sep = string(filepath.Separator)

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

// writeFault names path where err has a temporary name, and adds a hint.
func writeFault(path string, err error) error { return host.Failed("make", path, err) }
