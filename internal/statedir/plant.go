package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Plant makes d, which is absent or empty, out of what fill puts into a folder beside
// it: d holds all of that or is as it was, whenever we are killed. fill is told
// which directories are made for d, for the state that it writes. What a kill leaves
// beside d is cleared away by the next Claim.
func Plant(d Dir, fill func(inside Dir, made []string) error) error {
	top := string(d)
	made := missing(top)
	if len(made) > 0 {
		top = made[0]
		if err := dangling(filepath.Dir(top)); !errors.Is(err, fs.ErrExist) {
			return err
		}
		made = append(inherited(d), made...)
	}
	temp := aside(top, d)
	inside := Dir(filepath.Join(temp, strings.TrimPrefix(string(d), filepath.Dir(top))))
	err := os.MkdirAll(string(inside), 0o700)
	if err == nil {
		err = fill(inside, made)
	}
	if err == nil && len(made) == 0 {
		err = os.Remove(top) // fails unless it is empty yet
	}
	if err == nil {
		if err = os.Rename(filepath.Join(temp, filepath.Base(top)), top); err != nil {
			err = writeFault(string(d), err)
		}
	}
	return errors.Join(err, removeAside(temp))
}

// Encode is a state as it is in its file.
func Encode(s State) ([]byte, error) { return encode(s) }
