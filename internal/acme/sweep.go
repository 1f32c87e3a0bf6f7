package acme

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Sweep removes what a killed call left of its challenges, and the folders that it
// made for them. No other call may be under way.
func (c Challenge) Sweep() error {
	var err error
	if c.Control != nil {
		err = os.RemoveAll(c.Control.Folder)
	}
	if c.Webroot != "" {
		w := &webroot{folder: c.Webroot}
		folder := filepath.Dir(w.path("token"))
		entries, readErr := os.ReadDir(folder)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			err = errors.Join(err, readErr)
		}
		for _, e := range entries {
			err = errors.Join(err, removeFile(filepath.Join(folder, e.Name())))
		}
		err = errors.Join(err, w.close())
	}
	return err
}
