package host

import (
	"io"
	"io/fs"
	"os"
)

func lookFile(path string) (Fact, error) {
	info, err := lstat(path)
	if info == nil {
		return Fact{}, err
	}
	fact := factOf(info)
	if !info.Mode().IsRegular() {
		fact.Foreign = nameOf(info.Mode())
		return fact, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if isNotThere(err) {
		return Fact{}, nil
	}
	if err != nil {
		return Fact{}, Failed("read", path, err)
	}
	defer f.Close()
	if fact.Data, err = io.ReadAll(f); err != nil {
		return Fact{}, Failed("read", path, err)
	}
	return fact, nil
}

func lookSource(path string) (Fact, error) {
	info, err := os.Stat(path)
	if isNotThere(err) {
		return Fact{}, nil
	}
	if err != nil {
		return Fact{Exists: true, Foreign: Failed("look at", path, err).Error()}, nil
	}
	fact := factOf(info)
	if !info.Mode().IsRegular() {
		fact.Foreign = nameOf(info.Mode())
		return fact, nil
	}
	if fact.Data, err = os.ReadFile(path); err != nil {
		fact.Foreign = Failed("read", path, err).Error()
	}
	return fact, nil
}

func lookDir(path string) (Fact, error) {
	info, err := lstat(path)
	if info == nil {
		return Fact{}, err
	}
	fact := factOf(info)
	if !info.IsDir() {
		fact.Foreign = nameOf(info.Mode())
	}
	return fact, nil
}

func lookLink(path string) (Fact, error) {
	info, err := lstat(path)
	if info == nil {
		return Fact{}, err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		fact := factOf(info)
		fact.Foreign = nameOf(info.Mode())
		return fact, nil
	}
	target, err := os.Readlink(path)
	if err != nil {
		return Fact{}, Failed("read", path, err)
	}
	return Fact{Exists: true, Data: []byte(target)}, nil
}

// lstat gives nil for what is not there.
func lstat(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case isNotThere(err):
		return nil, nil
	case err != nil:
		return nil, Failed("look at", path, err)
	}
	return info, nil
}

func factOf(info fs.FileInfo) Fact {
	uid, gid := ownerOf(info)
	return Fact{Exists: true, Mode: info.Mode().Perm(), UID: uid, GID: gid}
}

func nameOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symlink"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeNamedPipe:
		return "a pipe"
	}
	return "a device"
}
