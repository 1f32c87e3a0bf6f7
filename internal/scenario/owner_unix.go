//go:build unix

package scenario

import "os"

// ourUID and ourGID own what only regctl itself reads.
func ourUID() int { return os.Geteuid() }
func ourGID() int { return os.Getegid() }
