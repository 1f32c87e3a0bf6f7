//go:build unix

package scenario

import (
	"io/fs"
	"os"
)

// ourUID and ourGID own what only regctl itself reads.
func ourUID() int { return os.Geteuid() }
func ourGID() int { return os.Getegid() }

// openToOthers reports whether the file's group, or everybody, may read or write it.
func openToOthers(mode fs.FileMode) bool { return mode&0o066 != 0 }
