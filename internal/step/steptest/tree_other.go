//go:build !unix

package steptest

import "io/fs"

func owner(fs.FileInfo) string { return "" }
func inode(fs.FileInfo) string { return "" }
