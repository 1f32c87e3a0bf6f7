package steptest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tree describes everything under root, a line each: name, mode, owner and bytes.
// Two trees with the same description are the same.
func Tree(t *testing.T, root string) string { return tree(t, root, false) }

// tree with identity also tells a file from a copy of it, by inode and time.
func tree(t *testing.T, root string, identity bool) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %s", name, info.Mode(), owner(info))
		if identity {
			fmt.Fprintf(&b, " %s %s", inode(info), info.ModTime())
		}
		content, err := content(path, info)
		fmt.Fprintln(&b, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func content(path string, info fs.FileInfo) (string, error) {
	switch info.Mode().Type() {
	case 0:
		data, err := os.ReadFile(path)
		return fmt.Sprintf(" %d bytes %x", len(data), sha256.Sum256(data)), err
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		return " -> " + target, err
	}
	return "", nil
}
