package host

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

func (l *Local) sync(f *os.File) error {
	if l.Sync != nil {
		return l.Sync(f)
	}
	return f.Sync()
}

// touch notes that path's entry in its directory changed. A directory made by
// this batch is not synced itself: the file systems that matter (ext4, XFS,
// btrfs, ZFS, F2FS) put names on disk in the order they were made, or a new
// directory's names together with its own, so syncing the directory that it was
// made in is enough, and saves most of the waiting.
func (b *batch) touch(path string) {
	dir := filepath.Dir(path)
	if !b.made[dir] {
		b.dirty[dir] = true
	}
}

// flush puts the names changed by the batch on disk, each directory once.
func (b *batch) flush() error {
	for _, dir := range slices.Sorted(maps.Keys(b.dirty)) {
		if err := b.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (l *Local) syncDir(dir string) error {
	if !syncsDirs {
		return nil
	}
	f, err := os.Open(dir)
	if isNotThere(err) {
		return nil // removed by the same batch
	}
	if err != nil {
		return Failed("write", dir, err)
	}
	defer f.Close()
	// Some network file systems cannot sync a directory.
	if err := l.sync(f); err != nil && !errors.Is(err, syscall.EINVAL) {
		return Failed("write", dir, err)
	}
	return nil
}
