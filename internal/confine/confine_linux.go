package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/regctl/regctl/internal/fault"
)

// Enter opens dirs (absolute paths of folders), then makes the whole process,
// every thread of it, run as uid and gid with no other group, no capability and
// no way to gain one. It cannot be taken back. Files and sockets that are open
// already stay open.
//
// Only root can call it. The process stays undumpable, as the kernel makes it at
// a change of user: others of the same user cannot trace it or read its memory.
// Its own /proc/self/fd it may use all the same (proc(5); Linux 2.6.23).
func Enter(uid, gid int, dirs ...string) (*Confined, error) {
	if os.Geteuid() != 0 {
		return nil, fault.Usage("start it as root, or leave --user out", "only root can change to user %d", uid)
	}
	c := &Confined{}
	for _, dir := range dirs {
		path := filepath.Clean(dir)
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		c.dirs = append(c.dirs, opened{path, fmt.Sprintf("/proc/self/fd/%d", fd)})
	}
	if err := become(uid, gid); err != nil {
		return nil, err
	}
	for _, dir := range c.dirs {
		if err := unix.Access(dir.via+"/.", unix.X_OK); err != nil {
			return nil, fault.Fail(fmt.Sprintf("chown %d:%d %s, and see that /proc is mounted", uid, gid, dir.path),
				"user %d cannot enter %s: %w", uid, dir.path, err)
		}
	}
	return c, nil
}

func become(uid, gid int) error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("drop root's groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("change to group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("change to user %d: %w", uid, err)
	}
	// The flag belongs to a thread. Where cgo is linked in (tests with -race)
	// there is no way to reach all threads; the change of user holds even so.
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 && !errors.Is(errno, syscall.ENOTSUP) {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	return nil
}
