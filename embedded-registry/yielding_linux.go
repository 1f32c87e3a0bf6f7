package embeddedregistry

import "golang.org/x/sys/unix"

// niceness leaves about a tenth of a contended core, so that a first login does not
// wait for the end of a flood.
const niceness = 10

// beNice is for the calling thread alone, which Linux counts as a process here. It
// takes no privilege; where it is refused all the same, bcrypt is merely not nice.
func beNice() {
	thread := unix.Gettid()
	if p, err := unix.Getpriority(unix.PRIO_PROCESS, thread); err == nil { // 20 less what it is
		_ = unix.Setpriority(unix.PRIO_PROCESS, thread, 20-p+niceness)
	}
}
