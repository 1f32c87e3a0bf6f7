package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gofrs/flock"

	"github.com/regctl/regctl/internal/fault"
)

// pidRecord is what a process writes of itself. A pid alone may belong to
// another process by now; with the time at which that one started it cannot.
type pidRecord struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // opaque; see startTime
	Process
}

// claimPIDFile is for the serving process itself: it notes this process in path
// and locks the file until release is called or the process ends, so that two can
// never serve one directory. Call it before root is given up. The file is open
// for reading only: whoever took the process over could not point it at another.
func claimPIDFile(path string) (release func(), err error) {
	start, ok := startTime(os.Getpid())
	if !ok {
		return nil, fmt.Errorf("%s: cannot tell when this process started", path)
	}
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !locked {
		return nil, fault.Fail("regctl stop ends it", "%s: another process runs for this directory already", path)
	}
	data := canonical(pidRecord{os.Getpid(), start, Process{os.Args[0], os.Args[1:]}})
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	return func() { _ = lock.Unlock() }, nil
}

// findProcess finds the process that a pid file tells of. One that is absent, half
// written or of a process that has ended means none.
func findProcess(path string) (pidRecord, bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pidRecord{}, false, nil
	}
	if err != nil {
		return pidRecord{}, false, err
	}
	var r pidRecord
	if json.Unmarshal(data, &r) != nil || r.PID <= 1 {
		return pidRecord{}, false, nil //nolint:nilerr // a file that says nothing names no process
	}
	start, ok := startTime(r.PID)
	return r, ok && start == r.Start, nil
}

// forgetProcess removes what a process that was killed at its start has noted. A
// record of another process stays.
func forgetProcess(path string, pid int) {
	if r, running, err := findProcess(path); err == nil && !running && r.PID == pid {
		_ = removePIDFile(path) // a record that stays does no harm
	}
}

func removePIDFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
