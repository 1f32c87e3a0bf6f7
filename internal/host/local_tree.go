package host

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

func (b *batch) doDir(op Op, before Fact) error {
	switch {
	case op.Action == Remove:
		return b.removeDir(op.Path)
	case before.Exists:
		return b.dress(op.Path, op.Want)
	default:
		return b.makeDir(op.Path, op.Want)
	}
}

// makeDir makes one directory, whole with mode and owner, or none.
func (b *batch) makeDir(path string, want Fact) error {
	temp := tempName(filepath.Dir(path))
	if err := os.Mkdir(temp, 0o700); err != nil {
		return Failed("make", path, err)
	}
	f, err := os.Open(temp)
	if err == nil {
		err = errors.Join(own(f, want), f.Close())
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the error that led here says more
		return Failed("make", path, err)
	}
	b.touch(path)
	b.made[path] = true
	return nil
}

// removeDir leaves a directory that holds something.
func (b *batch) removeDir(path string) error {
	err := os.Remove(path)
	if err == nil {
		b.touch(path)
		return nil
	}
	if isNotThere(err) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return Failed("remove", path, err)
}

func (b *batch) doLink(op Op) error {
	if op.Action == Remove {
		if err := os.Remove(op.Path); err != nil && !isNotThere(err) {
			return Failed("remove", op.Path, err)
		}
		b.touch(op.Path)
		return nil
	}
	temp := tempName(filepath.Dir(op.Path))
	if err := os.Symlink(string(op.Want.Data), temp); err != nil {
		return Failed("link", op.Path, err)
	}
	if err := os.Rename(temp, op.Path); err != nil {
		_ = os.Remove(temp) // the error that led here says more
		return Failed("link", op.Path, err)
	}
	b.touch(op.Path)
	return nil
}
