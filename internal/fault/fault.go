// Package fault is regctl's errors: what failed and why in one line, and apart
// from it a hint that mends it and whether the input was at fault.
package fault

import (
	"errors"
	"fmt"
)

type fault struct {
	error
	hint  string
	usage bool
}

func (f *fault) Unwrap() error { return f.error }
func (f *fault) Hint() string  { return f.hint }
func (f *fault) Usage() bool   { return f.usage }

// Usage reports bad input: exit status 2, nothing was touched. hint is the
// command or change that mends it; format and args are as in fmt.Errorf.
func Usage(hint, format string, args ...any) error {
	return &fault{fmt.Errorf(format, args...), hint, true}
}

// Fail reports broken surroundings: exit status 1.
func Fail(hint, format string, args ...any) error {
	return &fault{fmt.Errorf(format, args...), hint, false}
}

// Hint returns the hint of the outermost error in err's chain that has one.
func Hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// IsUsage reports whether err says that the input was at fault.
func IsUsage(err error) bool {
	var u interface{ Usage() bool }
	return errors.As(err, &u) && u.Usage()
}
