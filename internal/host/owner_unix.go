//go:build unix

package host

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	noFollow  = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	syncsDirs = true
)

func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return 0, 0
}

func chown(f *os.File, uid, gid int) error { return f.Chown(uid, gid) }

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
