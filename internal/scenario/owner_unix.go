//go:build unix

package scenario

import (
	"io/fs"
	"os"
	"syscall"
)

// ourUID and ourGID own what only regctl itself reads.
func ourUID() int { return os.Geteuid() }
func ourGID() int { return os.Getegid() }

// openToOthers reports whether the file's group, or everybody, may read or write it.
func openToOthers(mode fs.FileMode) bool { return mode&0o066 != 0 }

func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}
