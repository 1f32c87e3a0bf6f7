package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/regctl/regctl/internal/fault"
)

// Lock keeps other commands from working on the same registry. The kernel frees
// it when its holder dies, however that happens.
type Lock struct {
	file *flock.Flock
}

// holder is what the lock file says about who holds it.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// lockPoll is how often a held lock is tried again.
const lockPoll = 25 * time.Millisecond

// Acquire locks d, which must exist: else the error is fs.ErrNotExist. While
// another command holds it Acquire waits up to timeout, and then names it.
func Acquire(ctx context.Context, d Dir, timeout time.Duration, command string) (*Lock, error) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		lock, err := try(d)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			lock.sign(command)
			return lock, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, heldFault(d)
		case <-tick.C:
		}
	}
}

// try returns nil without an error while another holds the lock.
func try(d Dir) (*Lock, error) {
	file := flock.New(d.LockFile())
	got, err := file.TryLock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, readFault(d.LockFile(), err)
	}
	if !got {
		return nil, nil
	}
	// The file that was locked may have been removed, with its directory, by the
	// one that held it before.
	mine, err := file.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Stat(d.LockFile()); err == nil && os.SameFile(mine, there) {
			return &Lock{file}, nil
		}
	}
	return nil, errors.Join(file.Close(), ignoreNotExist(err))
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sign writes down who holds the lock, for the message to those who wait. That is
// a courtesy: on a full disk, which destroy is to make room on, there is none.
func (l *Lock) sign(command string) {
	data, err := json.Marshal(holder{os.Getpid(), command, time.Now().Truncate(time.Second)})
	if err == nil {
		_ = os.WriteFile(l.file.Path(), append(data, '\n'), 0o600)
	}
}

// Release lets the next command go on. Releasing twice is allowed.
func (l *Lock) Release() error { return l.file.Close() }

// HeldBy names the command that works on d, and since when: "" for this one.
func HeldBy(d Dir) string {
	h := readHolder(d)
	if h.PID == os.Getpid() {
		return ""
	}
	return h.String()
}

func (h holder) String() string {
	if h.PID == 0 {
		return "another regctl"
	}
	return fmt.Sprintf("pid %d (%s) since %s", h.PID, h.Command, h.Since.Local().Format(time.TimeOnly))
}

// readHolder gives the zero holder where nobody has signed.
func readHolder(d Dir) (h holder) {
	data, err := os.ReadFile(d.LockFile())
	if err != nil || json.Unmarshal(data, &h) != nil {
		return holder{}
	}
	return h
}

func heldFault(d Dir) error {
	h := readHolder(d)
	hint := "wait for it to finish, or give it longer with --timeout"
	if h.PID != 0 {
		hint = fmt.Sprintf("wait for it to finish, or end it: kill %d", h.PID)
	}
	return fault.Fail(hint, "%s is held by %s", d, h)
}
