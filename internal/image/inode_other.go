//go:build !unix

package image

import "io/fs"

// inode is 0: size and time must do where files have no number.
func inode(fs.FileInfo) uint64 { return 0 }
