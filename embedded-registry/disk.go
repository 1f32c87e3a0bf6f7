package embeddedregistry

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
)

const (
	// diskMiddleware is a storage middleware of ours; a configuration cannot name it.
	diskMiddleware = "regctl-disk"
	// defaultRoot is where distribution's filesystem driver keeps blobs unasked.
	defaultRoot = "/var/lib/registry"
	// earlyPart is how much of a blob is written before the disk is told.
	earlyPart = 8 << 20
	// sip is how much of a file is read at a time.
	sip = 64 << 10
)

var registerDisk = sync.OnceValue(func() error {
	return storagemiddleware.Register(diskMiddleware, newDiskDriver)
})

// tuneDisk puts diskDriver around the filesystem driver.
func tuneDisk(config *configuration.Configuration) error {
	params, ok := config.Storage["filesystem"]
	if !ok {
		return nil
	}
	if err := registerDisk(); err != nil {
		return err
	}
	root := defaultRoot
	if set, ok := params["rootdirectory"]; ok {
		root = fmt.Sprint(set)
	}
	prepend(config, "storage", configuration.Middleware{Name: diskMiddleware, Options: configuration.Parameters{"root": root}})
	return nil
}

// diskDriver stores what the filesystem driver stores, in the same way, but goes
// about it in pieces that suit the machine: see sipper and earlyWriter.
type diskDriver struct {
	storagedriver.StorageDriver
	root string
}

func newDiskDriver(_ context.Context, d storagedriver.StorageDriver, options map[string]any) (storagedriver.StorageDriver, error) {
	return diskDriver{d, fmt.Sprint(options["root"])}, nil
}

func (d diskDriver) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	r, err := d.StorageDriver.Reader(ctx, path, offset)
	if err != nil {
		return nil, err
	}
	return sipper{r}, nil
}

func (d diskDriver) Writer(ctx context.Context, path string, more bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, more)
	if err != nil {
		return nil, err
	}
	return &earlyWriter{FileWriter: w, path: filepath.Join(d.root, path)}, nil
}

// sipper reads little at a time. distribution reads blobs through a buffer of 4 MB;
// filled to the brim each time it pushes everything else out of the CPU's caches.
type sipper struct{ io.ReadCloser }

func (s sipper) Read(p []byte) (int, error) { return s.ReadCloser.Read(p[:min(len(p), sip)]) }

// earlyWriter has the disk begin to write a blob while it is still arriving. The
// driver syncs at the end in any case; this leaves it less to wait for.
type earlyWriter struct {
	storagedriver.FileWriter
	path  string
	file  *os.File // a second descriptor, opened for blobs that are big enough
	fresh int64    // bytes since the disk was told
}

func (w *earlyWriter) Write(p []byte) (int, error) {
	n, err := w.FileWriter.Write(p)
	w.fresh += int64(n)
	if w.fresh >= earlyPart && err == nil {
		w.tell()
	}
	return n, err
}

// tell is a hint: that it did not work changes nothing.
func (w *earlyWriter) tell() {
	if w.file == nil {
		f, err := os.Open(w.path)
		if err != nil {
			return
		}
		w.file = f
	}
	startWriting(w.file, w.Size()-w.fresh, w.fresh)
	w.fresh = 0
}

func (w *earlyWriter) Close() error {
	w.release()
	return w.FileWriter.Close()
}

func (w *earlyWriter) Cancel(ctx context.Context) error {
	w.release()
	return w.FileWriter.Cancel(ctx)
}

func (w *earlyWriter) release() {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}
