//go:build !unix

package statedir

// Without Unix owners a file belongs to whoever made it.
func self() (uid, gid int) { return 0, 0 }

// alive is not worth finding out here: true leaves a temporary file behind.
func alive(int) bool { return true }
