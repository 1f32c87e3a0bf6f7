// Package confine lets a process that was started as root go on as an
// unprivileged user inside folders whose parents that user cannot enter.
//
// A registry's directory is root's, mode 0700, and so may be the folders above
// it. Enter opens the few folders that the process may use while it is still
// root, then gives root up; Rewrite turns a path under one of them into one that
// goes through the open descriptor, past the parents. What was not opened stays
// out of reach: the kernel checks every other path against the new user.
package confine

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// Confined is what a process may still reach. The zero value confines nothing:
// Rewrite returns every path as it is.
type Confined struct {
	dirs []opened
}

type opened struct {
	path string // clean and absolute
	via  string // "/proc/self/fd/N"
}

// Rewrite returns the path by which the process reaches what lies at path. Paths
// outside the folders given to Enter are returned as they are; the deepest of
// nested folders wins. It may be called from several goroutines.
func (c *Confined) Rewrite(path string) string {
	if c == nil || !filepath.IsAbs(path) {
		return path
	}
	clean, best := filepath.Clean(path), opened{}
	for _, dir := range c.dirs {
		if within(clean, dir.path) && len(dir.path) > len(best.path) {
			best = dir
		}
	}
	if best.path == "" {
		return path
	}
	return filepath.Join(best.via, strings.TrimPrefix(clean, best.path))
}

func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// ParseUser reads "UID:GID", both decimal and neither root's.
func ParseUser(s string) (uid, gid int, err error) {
	first, second, ok := strings.Cut(s, ":")
	uid, errUID := strconv.Atoi(first)
	gid, errGID := strconv.Atoi(second)
	if !ok || errUID != nil || errGID != nil || uid <= 0 || gid <= 0 {
		return 0, 0, fault.Usage("give two numbers above 0, for example 65532:65532", "%q is not UID:GID", s)
	}
	return uid, gid, nil
}
