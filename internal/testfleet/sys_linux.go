package testfleet

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

const (
	namespacesOfHub  = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	namespacesOfHost = namespacesOfHub | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
)

// separate puts a command into new namespaces, and into a session that a terminal's
// Ctrl-C does not reach: it ends with its stdin.
func separate(cmd *exec.Cmd, namespaces uintptr) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: namespaces}
}

// lockDir locks a folder that nobody else has locked, until the file is closed.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func owner(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "?"
	}
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}
