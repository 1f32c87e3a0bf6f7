package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Class says what a directory is to us.
type Class string

// Classes of directory.
const (
	Absent  Class = "absent"
	Empty   Class = "empty"   // may be made ours
	Ours    Class = "ours"    // has a regctl.yaml, state or journal
	Kept    Class = "kept"    // what destroy --keep-data left
	Foreign Class = "foreign" // holds something that is not ours
)

// Classify looks at what is in d. For a Foreign one it gives up to three of the
// names it holds.
func Classify(d Dir) (Class, []string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil, nil
	}
	if err != nil {
		return "", nil, readFault(string(d), err)
	}
	var others []string
	for _, e := range entries {
		switch name := e.Name(); name {
		case base(d.State()):
			if s, err := Load(d); err == nil && s.Phase == PhaseKept {
				return Kept, nil, nil
			}
			return Ours, nil, nil
		case base(d.Spec()), base(d.Journal()):
			return Ours, nil, nil
		case base(d.LockFile()), "lost+found":
		default:
			if temp, _ := filepath.Match(host.TempPattern, name); !temp {
				others = append(others, name)
			}
		}
	}
	if len(others) == 0 {
		return Empty, nil, nil
	}
	return Foreign, others[:min(3, len(others))], nil
}

func base(path string) string { return filepath.Base(path) }

// foreignFault refuses to work in a directory that holds something else.
func foreignFault(d Dir, entries []string) error {
	return fault.Usage("choose another place with --dir or --name", "%s holds something that regctl did not make: %s",
		d, strings.Join(entries, ", "))
}

// readFault adds the hint for what may not be read.
func readFault(path string, err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	hint := ""
	if errors.Is(err, fs.ErrPermission) {
		hint = "run the command as the user that made the registry, or with sudo"
	}
	return fault.Fail(hint, "read %s: %w", path, err)
}
