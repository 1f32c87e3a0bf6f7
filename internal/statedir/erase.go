package statedir

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/regctl/regctl/internal/host"
)

// Erase removes what is regctl's own in d, which is locked, and then the
// directories that were made for it and are empty now, d first. It releases the
// lock. It names the innermost directory that stays because it holds something.
// A directory that was there before is left, empty or not.
func Erase(d Dir, lock *Lock) (left []string, err error) {
	defer func() { err = errors.Join(err, lock.Release()) }()
	s, err := LoadState(d)
	if err != nil {
		return nil, err
	}
	if err := sweepAside(d, s.Made); err != nil {
		return nil, err
	}
	if len(s.Made) > 0 && slices.Contains(s.Made, string(d)) && holdsOnlyOurs(d) {
		// Out of the way first: a command that waits for the lock must not come
		// to hold one in a directory about to go.
		gone := aside(string(d), d)
		if err := os.Rename(string(d), gone); err != nil {
			return nil, host.Failed("remove", string(d), err)
		}
		if err := removeAside(gone); err != nil {
			return nil, err
		}
	} else if err := removeOurs(d); err != nil {
		return nil, err
	}
	if dir := removeEmpty(s.Made); dir == string(d) {
		left = append(left, dir)
	}
	return left, nil
}

func ourFiles(d Dir) []string { return []string{d.Journal(), d.LockFile(), d.State()} }

func holdsOnlyOurs(d Dir) bool {
	entries, err := os.ReadDir(string(d))
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !slices.Contains(ourFiles(d), d.Join(e.Name()))
	})
}

// removeOurs takes the record last.
func removeOurs(d Dir) error {
	for _, path := range ourFiles(d) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return host.Failed("remove", path, err)
		}
	}
	return nil
}

// removeEmpty removes directories, the last first, up to one that holds
// something, which it returns.
func removeEmpty(dirs []string) (left string) {
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
	}
	return ""
}
