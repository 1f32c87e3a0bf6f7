//go:build unix

package host

import (
	"os"
	"syscall"
)

// stopGently asks a process to end after what it is doing.
func stopGently(p *os.Process) { _ = p.Signal(syscall.SIGTERM) } // it may have ended already
