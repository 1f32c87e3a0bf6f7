//go:build unix

package statedir

import (
	"errors"
	"os"
	"syscall"
)

// self owns what only regctl itself reads.
func self() (uid, gid int) { return os.Geteuid(), os.Getegid() }

// alive reports whether a process has that id, whoever it belongs to.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
