package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// TempPattern matches the names under which files are written before they are
// renamed into place, for clearing away what a killed process left. The process
// id comes first in the part that varies.
const TempPattern = ".regctl-*.tmp"

func tempName(dir string) string {
	return filepath.Join(dir, fmt.Sprintf(".regctl-%d-%08x.tmp", os.Getpid(), rand.Uint32()))
}

func (b *batch) doFile(op Op, before Fact) error {
	if op.Action == Remove {
		if err := os.Remove(op.Path); err != nil && !isNotThere(err) {
			return Failed("remove", op.Path, err)
		}
		b.touch(op.Path)
		return nil
	}
	if before.Exists && bytes.Equal(before.Data, op.Want.Data) {
		return b.dress(op.Path, op.Want)
	}
	return b.writeFile(op.Path, op.Want)
}

// dress gives a file or directory that is there its mode and owner.
func (b *batch) dress(path string, want Fact) error {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err == nil {
		defer f.Close()
		err = own(f, want)
	}
	if err == nil {
		err = b.sync(f)
	}
	if err != nil {
		return Failed("change", path, err)
	}
	return nil
}

// own sets mode and owner where they differ. The bits beyond the permissions, a
// directory's setgid for one, stay.
func own(f *os.File, want Fact) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if uid, gid := ownerOf(info); uid != want.UID || gid != want.GID {
		if err := chown(f, want.UID, want.GID); err != nil {
			return err
		}
	}
	if info.Mode().Perm() != want.Mode.Perm() {
		return f.Chmod(info.Mode()&^fs.ModePerm | want.Mode.Perm())
	}
	return nil
}

func (b *batch) writeFile(path string, want Fact) error {
	temp := tempName(filepath.Dir(path))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Failed("write", path, err)
	}
	if err = b.fill(f, want); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the error that led here says more
		if errors.Is(err, syscall.EBUSY) {
			return b.writeInPlace(path, want)
		}
		return Failed("write", path, err)
	}
	b.touch(path)
	return nil
}

// fill gives a file its bytes, owner and mode, puts them on disk and closes it.
func (b *batch) fill(f *os.File, want Fact) error {
	_, err := f.Write(want.Data)
	if err == nil {
		err = own(f, want)
	}
	if err == nil {
		err = b.sync(f)
	}
	return errors.Join(err, f.Close())
}

// writeInPlace is for a mount point, which cannot be renamed over. A crash may
// leave it half: the journal then has the original.
func (b *batch) writeInPlace(path string, want Fact) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|noFollow, 0)
	if err == nil {
		err = b.fill(f, want)
	}
	if err != nil {
		return Failed("write", path, err)
	}
	return nil
}
