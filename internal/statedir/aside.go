package statedir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // one that may be passed but not read shows none of ours
		}
		for _, e := range entries {
			if !isAside(e.Name(), d) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				return writeFault(folder, err)
			}
		}
	}
	return nil
}

func isAside(name string, d Dir) bool {
	number, ours := strings.CutPrefix(name, asidePrefix(d))
	number, temp := strings.CutSuffix(number, ".tmp")
	return ours && temp && strings.Trim(number, "0123456789") == ""
}
