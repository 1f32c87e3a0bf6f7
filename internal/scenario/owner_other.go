//go:build !unix

package scenario

import "io/fs"

// Without Unix owners a file belongs to whoever made it.
func ourUID() int { return 0 }
func ourGID() int { return 0 }

// Without Unix modes nothing is known of who may read a file.
func openToOthers(fs.FileMode) bool { return false }

func ownerOf(fs.FileInfo) (uid, gid int) { return 0, 0 }
