package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// TimeoutError is the cause that a host's context ended with, if it took longer than
// Options.PerHost.
type TimeoutError struct{ After time.Duration }

func (e *TimeoutError) Error() string { return fmt.Sprintf("not done within %s", e.After) }

// Hint says what to do about it.
func (e *TimeoutError) Hint() string {
	return "see what keeps the host busy, or give it longer with --timeout"
}

// Unwrap makes it a deadline that passed.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

func one[T any](ctx context.Context, host string, limit time.Duration, do func(context.Context, string) (T, error)) (value T, err error) {
	start, cause := time.Now(), &TimeoutError{limit}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, cause)
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fault.Fail("this is a mistake in regctl: report it with the line above", "%v (%s)", p, panicked(debug.Stack()))
		}
	}()
	value, err = do(ctx, host)
	// A bare "context deadline exceeded" says neither how long nor what to do.
	if limit > 0 && time.Since(start) >= limit && errors.Is(err, context.DeadlineExceeded) && fault.Hint(err) == "" {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return value, err
}

// panicked is the line that a panic came from: the first that stack has after the
// runtime's own.
func panicked(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "\npanic(")
	lines := strings.Split(after, "\n")
	for i, line := range lines {
		if i < 2 || !strings.HasPrefix(line, "\t") || strings.Contains(line, "/runtime/") {
			continue
		}
		place, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		return place[strings.LastIndexByte(place, '/')+1:]
	}
	return "somewhere"
}
