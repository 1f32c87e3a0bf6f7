package testfleet

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Tree says of each path what it is: type and mode, owner, and the SHA-256 of its bytes or
// the target of its link. Times are not in it.
type Tree map[string]string

// Tree is everything in /etc, /home, /root, /usr/local and /var/lib, but for
// what the runtimes keep of images and containers, which changes by itself.
func (h *Host) Tree() Tree {
	h.fleet.t.Helper()
	tree := Tree{}
	root := fmt.Sprintf("/proc/%d/root", h.process.pid())
	for _, top := range []string{"/etc", "/home", "/root", "/usr/local", "/var/lib"} {
		err := filepath.WalkDir(root+top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := path[len(root):]
			switch name {
			case "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker":
				return fs.SkipDir
			}
			tree[name], err = describe(path, d)
			return err
		})
		if err != nil {
			h.fleet.t.Fatalf("host %s: %v", h.Name, err)
		}
	}
	return tree
}

func describe(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	line := info.Mode().String() + " " + owner(info)
	switch {
	case info.Mode().IsRegular():
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %x", line, sum.Sum(nil)), nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return line + " -> " + target, err
	default:
		return line, nil
	}
}

// Diff is a line for each path in which another tree differs, in order: + what came,
// - what went.
func (t Tree) Diff(other Tree) []string {
	paths := maps.Clone(t)
	maps.Copy(paths, other)
	var diff []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		was, had := t[path]
		is, has := other[path]
		if had && was != is {
			diff = append(diff, "- "+path+" "+was)
		}
		if has && was != is {
			diff = append(diff, "+ "+path+" "+is)
		}
	}
	return diff
}
