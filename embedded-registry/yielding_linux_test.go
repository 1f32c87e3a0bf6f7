package embeddedregistry

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// bcrypt's own thread is nice, and nobody else's.
func TestYielding(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mine := priority(t)
	var its int
	yielding(func() { its = priority(t) })
	if its != max(1, mine-niceness) { // 1 is the least
		t.Errorf("bcrypt's thread has priority %d, ours %d", its, mine)
	}
	if now := priority(t); now != mine {
		t.Errorf("our own priority went from %d to %d", mine, now)
	}
}

// priority of the calling thread, as the kernel counts it: 20 less its niceness.
func priority(t *testing.T) int {
	p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Error(err)
	}
	return p
}
