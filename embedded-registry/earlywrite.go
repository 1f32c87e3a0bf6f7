package embeddedregistry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
)

const (
	earlyWrite = "regctl-earlywrite"
	// earlyWriteSize is how much of a blob is written before the disk is told.
	earlyWriteSize = 8 << 20
)

var registerEarlyWrite = sync.OnceValue(func() error {
	return storagemiddleware.Register(earlyWrite, newEarlyDriver)
})

// writeEarly puts earlyDriver around the filesystem driver.
func writeEarly(config *configuration.Configuration) error {
	params, ok := config.Storage["filesystem"]
	root := fmt.Sprint(params["rootdirectory"])
	if !ok || params["rootdirectory"] == nil {
		return nil
	}
	if err := registerEarlyWrite(); err != nil {
		return err
	}
	prepend(config, "storage", configuration.Middleware{Name: earlyWrite, Options: configuration.Parameters{"root": root}})
	return nil
}

// earlyDriver has the disk begin to write a blob while it is still arriving. The
// driver syncs at the end in any case; this leaves it less to wait for.
type earlyDriver struct {
	storagedriver.StorageDriver
	root string
}

func newEarlyDriver(_ context.Context, d storagedriver.StorageDriver, options map[string]any) (storagedriver.StorageDriver, error) {
	return earlyDriver{d, options["root"].(string)}, nil
}

func (d earlyDriver) Writer(ctx context.Context, path string, more bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, more)
	if err != nil {
		return nil, err
	}
	return &earlyWriter{FileWriter: w, path: filepath.Join(d.root, path)}, nil
}

type earlyWriter struct {
	storagedriver.FileWriter
	path  string
	file  *os.File // a second descriptor, opened for blobs that are big enough
	fresh int64    // bytes since the disk was told
}

func (w *earlyWriter) Write(p []byte) (int, error) {
	n, err := w.FileWriter.Write(p)
	w.fresh += int64(n)
	if w.fresh >= earlyWriteSize && err == nil {
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
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	return w.FileWriter.Close()
}
