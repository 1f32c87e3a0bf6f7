package scenario

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// walkRules are how a folder is walked.
type walkRules struct {
	// data is for images: what vanishes meanwhile is passed over, and so are uploads
	// under way and links, which no registry makes.
	data bool
}

// walker walks one folder. It reads below root alone, whatever links there are.
type walker struct {
	walkRules
	ctx  context.Context //nolint:containedctx // of one call of walk
	root *os.Root
	to   sink
}

// walk tells to of all that is in the folder at dir, under the name as.
func walk(ctx context.Context, dir, as string, to sink, rules walkRules) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	w := walker{rules, ctx, root, to}
	if as != "" {
		info, err := root.Stat(".")
		if err == nil {
			err = to.Dir(as, info.Mode())
		}
		if err != nil {
			return err
		}
	}
	return w.folder(".", as)
}

func (w walker) folder(name, as string) error {
	f, err := w.root.Open(name)
	if err != nil {
		return w.unless(err)
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return w.unless(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		if w.data {
			return strings.Compare(orderKey(b.Name()), orderKey(a.Name()))
		}
		return strings.Compare(a.Name(), b.Name())
	})
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		to := path.Join(as, e.Name())
		if w.data && skipsData(e.Name()) || !w.data && (to == dataName || !inBackup(to)) {
			continue
		}
		if err := w.entry(path.Join(name, e.Name()), to); err != nil {
			return err
		}
	}
	return nil
}

// orderKey orders so that backwards each link of a registry's comes before what it
// leads to: repositories before blobs, _manifests before _layers, tags before
// revisions, and a tag's current before its index.
func orderKey(name string) string {
	if name == "current" {
		return "~"
	}
	return name
}

// written matches the names under which distribution's filesystem driver writes.
var written = regexp.MustCompile(`\.[0-9a-f]{8}-[0-9a-f-]{27}\.tmp$`)

// skipsData names what is under way in a registry's storage.
func skipsData(name string) bool { return name == "_uploads" || written.MatchString(name) }

// unless passes over what has vanished, of images.
func (w walker) unless(err error) error {
	if w.data && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (w walker) entry(name, as string) error {
	info, err := w.root.Lstat(name)
	if err != nil {
		return w.unless(err)
	}
	switch {
	case info.IsDir():
		if err := w.to.Dir(as, info.Mode()); err != nil {
			return err
		}
		return w.folder(name, as)
	case info.Mode().IsRegular():
		return w.file(name, as)
	case info.Mode()&fs.ModeSymlink != 0 && !w.data:
		target, err := w.root.Readlink(name)
		if err != nil {
			return err
		}
		return w.to.Link(as, target)
	}
	return nil // a socket or the like, which a program that runs makes anew
}

func (w walker) file(name, as string) error {
	// Not waiting: it could have become a pipe.
	f, err := w.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return w.unless(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return w.to.File(as, info.Mode(), info.Size(), interruptible{w.ctx, f})
}

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // of one copy
	io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.Reader.Read(p)
}
