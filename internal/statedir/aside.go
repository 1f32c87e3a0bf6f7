package statedir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// Directories come and go whole: they are made, and removed, under another name
// beside the place that is theirs.

// aside is a new name beside path, for what is to become of d or was d.
func aside(path string, d Dir) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%d.tmp", asidePrefix(d), rand.Uint32()))
}

func asidePrefix(d Dir) string { return ".regctl-" + filepath.Base(string(d)) + "." }

// sweepAside clears away what killed commands left beside d and beside the
// directories made for it. d is locked, so another command that is making it must
// fail anyway, and start over.
func sweepAside(d Dir, made []string) error {
	folders := []string{filepath.Dir(string(d))}
	for _, dir := range made {
		folders = append(folders, filepath.Dir(dir))
	}
	for _, folder := range folders {
		for _, path := range asides(folder, d) {
			if err := removeAside(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// ClearAway removes what a command that was killed while it made or erased d left
// beside it. It is for a d that does not exist.
func ClearAway(d Dir) error {
	folder := filepath.Dir(string(d))
	if gone := missing(folder); len(gone) > 0 {
		folder = filepath.Dir(gone[0])
	}
	for _, path := range asides(folder, d) {
		s, err := LoadState(Dir(path))
		if err != nil {
			return err
		}
		if err := removeAside(path); err != nil {
			return err
		}
		removeEmpty(s.Made)
	}
	return nil
}

// asides lists what stands in folder under a name for d. A folder that may be
// passed but not read shows none of ours.
func asides(folder string, d Dir) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if isAside(e.Name(), d) {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths
}

func isAside(name string, d Dir) bool {
	number, ours := strings.CutPrefix(name, asidePrefix(d))
	number, temp := strings.CutSuffix(number, ".tmp")
	return ours && temp && strings.Trim(number, "0123456789") == ""
}

// removeAside removes a directory in which a command that came late may still be
// opening the lock file, once.
func removeAside(path string) error {
	err := os.RemoveAll(path)
	for range 10 {
		if err == nil {
			return nil
		}
		err = os.RemoveAll(path)
	}
	return host.Failed("remove", path, err)
}
