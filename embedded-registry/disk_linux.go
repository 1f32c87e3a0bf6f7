package embeddedregistry

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriting begins to write that part of f to the disk, and does not wait.
func startWriting(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
