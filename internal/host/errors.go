package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/regctl/regctl/internal/fault"
)

// OpError says which op of a batch failed.
type OpError struct {
	Index int // in the ops given to Do
	Ref   Ref
	Err   error
}

func (e *OpError) Error() string { return e.Err.Error() }

// Unwrap returns why it failed.
func (e *OpError) Unwrap() error { return e.Err }

// ForeignError reports something that stands where a thing of ours should be.
// It is never overwritten or removed.
type ForeignError struct {
	Ref  Ref
	What string // as in Fact.Foreign
}

func (e *ForeignError) Error() string {
	switch e.Ref.Kind {
	case File, Dir, Link, Source:
		return fmt.Sprintf("%s is %s, not a %s", e.Ref.Path, e.What, nouns[e.Ref.Kind])
	}
	return fmt.Sprintf("%s: %s", e.Ref, e.What)
}

// Hint says what to do about it.
func (e *ForeignError) Hint() string { return "move it away and run the same command again" }

var nouns = map[Kind]string{File: "file", Dir: "directory", Link: "symlink", Source: "file"}

// Failed describes what went wrong with path, which is the name people know: not
// that of a temporary file beside it. It adds the hint that fits the cause.
func Failed(verb, path string, err error) error {
	var perr *fs.PathError
	var lerr *os.LinkError
	if errors.As(err, &perr) {
		err = perr.Err
	} else if errors.As(err, &lerr) {
		err = lerr.Err
	}
	hint := Mends(err)
	if hint == "" && errors.Is(err, fs.ErrNotExist) {
		hint = "the folder it belongs in is missing: run the same command again"
	}
	if hint == "" {
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
	return fault.Fail(hint, "%s %s: %w", verb, path, err)
}

// Mends is the hint for what a file system answered that is full, read-only or
// another user's, and "" for anything else.
func Mends(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), strings.Contains(err.Error(), "quota exceeded"):
		return "make room on that file system and run the same command again"
	case errors.Is(err, syscall.EROFS):
		return "that file system is mounted read-only: remount it, or choose another place with --dir"
	case errors.Is(err, fs.ErrPermission):
		return "run the command as a user who may do that"
	}
	return ""
}

// failedThere is Failed on a machine that is logged in to.
func failedThere(verb, path string, err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fault.Fail("that file system is mounted read-only there: remount it, and run the same command again", "%s %s: %w", verb, path, err)
	case errors.Is(err, syscall.EPERM): // root is told this too
		return fault.Fail("see with lsattr whether it is immutable (chattr -i ends that); if not, log in as root or as a user with sudo", "%s %s: %w", verb, path, err)
	case errors.Is(err, fs.ErrPermission):
		return fault.Fail("log in as root, or as a user with sudo", "%s %s: %w", verb, path, err)
	}
	return Failed(verb, path, err)
}
