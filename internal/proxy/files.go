package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/regctl/regctl/internal/fault"
)

// writeFile replaces a file by a rename. No server reads the name in between: a glob
// does not match a leading dot.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	temp := tempName(path)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return naming(path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the error that led here says more
		return naming(path, err)
	}
	return nil
}

func writeLink(path, target string) error {
	temp := tempName(path)
	err := os.Symlink(target, temp)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // likewise
		return naming(path, err)
	}
	return nil
}

func tempName(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".regctl-%d-%08x.tmp", os.Getpid(), rand.Uint32()))
}

// remove is content with what is gone already.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return naming(path, err)
	}
	return nil
}

// naming has the error name the file itself and not the temporary one.
func naming(path string, err error) error {
	var where *fs.PathError
	if errors.As(err, &where) {
		err = where.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// readOnly adds what can be done where a folder takes no file.
func readOnly(err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fault.Fail("mount it for writing, or leave the proxy to whoever manages this machine's files: DIR/proxy has the site", "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return fault.Fail("run regctl as root", "%w", err)
	}
	return err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
