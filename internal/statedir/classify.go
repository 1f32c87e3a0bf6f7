package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Class says what a directory is to us.
type Class struct {
	Kind    ClassKind
	Entries []string // of a Foreign one, up to three of the names that it holds
}

// ClassKind is a kind of directory.
type ClassKind string

// Kinds of directory.
const (
	Absent  ClassKind = "absent"
	Empty   ClassKind = "empty"   // may be made ours
	Ours    ClassKind = "ours"    // has a regctl.yaml, state or journal
	Kept    ClassKind = "kept"    // what destroy --keep-data left
	Foreign ClassKind = "foreign" // holds something that is not ours
)

// Classify looks at what is in d.
func Classify(d Dir) (Class, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return Class{Kind: Absent}, nil
	}
	if err != nil {
		return Class{}, readFault(string(d), err)
	}
	var others []string
	for _, e := range entries {
		switch name := e.Name(); name {
		case base(d.State()):
			if s, err := LoadState(d); err == nil && s.Phase == PhaseKept {
				return Class{Kind: Kept}, nil
			}
			return Class{Kind: Ours}, nil
		case base(d.Spec()), base(d.Journal()):
			return Class{Kind: Ours}, nil
		case base(d.LockFile()), "lost+found":
		default:
			if temp, _ := filepath.Match(host.TempPattern, name); !temp {
				others = append(others, name)
			}
		}
	}
	if len(others) == 0 {
		return Class{Kind: Empty}, nil
	}
	return Class{Foreign, others[:min(3, len(others))]}, nil
}

func base(path string) string { return filepath.Base(path) }

// ForeignFault refuses to work in a directory that holds something else.
func ForeignFault(d Dir, class Class) error {
	return fault.Usage("choose another place with --dir or --name", "%s holds something that regctl did not make: %s",
		d, strings.Join(class.Entries, ", "))
}

// readFault adds the hint for what may not be read.
func readFault(path string, err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	hint := ""
	if errors.Is(err, syscall.ENOTDIR) {
		return fault.Usage("choose another place with --dir", "%s is not a directory", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		hint = "run the command as the user that made the registry, or with sudo"
	}
	return fault.Fail(hint, "read %s: %w", path, err)
}
