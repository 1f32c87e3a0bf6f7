package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
)

// KindBinary is a copy of our own executable. Its Fact's Data is a JSON object that
// stands for the content, never the 25 MB themselves.
const KindBinary host.Kind = "binary"

// Binary is the host.Handler of KindBinary. NAME.old, beside it, is the copy before
// this one, so that a change can be undone.
type Binary struct {
	// Source is the executable to copy: os.Executable, unless another is meant.
	Source string
	// Link spares the copying where a hard link is as good: on the same file system,
	// of a file that nobody else may write. A copy can be run while cp overwrites the
	// source; of a linked one cp says "Text file busy" while it runs.
	Link bool
}

type binaryData struct {
	ID string `json:"id"` // see image.Identity
}

// binaryMode is what a copy has.
const binaryMode fs.FileMode = 0o755

// BinaryFact is what source's copy should be.
func BinaryFact(source string) (host.Fact, error) {
	id, err := image.Identity(source)
	return binaryFact(id, os.Geteuid(), os.Getegid()), err
}

func binaryFact(id string, uid, gid int) host.Fact {
	return host.Fact{Exists: true, Data: canonical(binaryData{id}), Mode: binaryMode, UID: uid, GID: gid}
}

// Look reports the copy at path.
func (b Binary) Look(_ context.Context, path string) (host.Fact, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	if !info.Mode().IsRegular() {
		return host.Fact{Exists: true, Foreign: "not a regular file"}, nil
	}
	id, err := image.Identity(path)
	if err != nil {
		return host.Fact{}, err
	}
	uid, gid := fileOwner(info)
	fact := binaryFact(id, uid, gid)
	fact.Mode = info.Mode().Perm()
	return fact, nil
}

// Do copies Source to op.Path by a rename, or puts the previous copy back where
// that is what op wants, or removes the copy and the files beside it.
func (b Binary) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	path := op.Path
	if op.Action == host.Remove {
		// The copy goes last: once it is gone nobody looks for the others.
		for _, name := range []string{path + ".old", path + ".new", path} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return host.Fact{}, err
			}
		}
		return host.Fact{}, nil
	}
	var want binaryData
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	if seen, err := b.Look(ctx, path); err != nil || seen.Hash() == op.Want.Hash() {
		return seen, err
	}
	source := b.Source
	if id, err := image.Identity(path + ".old"); err == nil && id == want.ID {
		source = path + ".old"
	}
	if err := b.replace(ctx, source, path, want.ID); err != nil {
		return host.Fact{}, err
	}
	return b.Look(ctx, path)
}

// replace puts a copy of source at path; the one that was there becomes path.old. A
// kill at any point leaves a whole file, old or new, at path.
func (b Binary) replace(ctx context.Context, source, path, id string) error {
	next := path + ".new"
	if err := b.copy(ctx, source, next, id); err != nil {
		_ = os.Remove(next)
		return err
	}
	previous := path + ".old"
	if err := os.Remove(previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(path, previous); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(next, path)
}

// copy makes path, whose content must have the given identity.
func (b Binary) copy(ctx context.Context, source, path, id string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !b.Link || !linkable(source) || os.Link(source, path) != nil {
		if err := copyFile(source, path); err != nil {
			return host.Failed("copy "+source+" to", path, err)
		}
	}
	got, err := image.Identity(path)
	if err == nil && got != id {
		err = fmt.Errorf("%s changed while we were working on it", source)
	}
	return errors.Join(ctx.Err(), err)
}

// linkable is true of a file that is already as its copy would be, and that nobody
// but its owner can change.
func linkable(source string) bool {
	info, err := os.Lstat(source)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != binaryMode {
		return false
	}
	uid, gid := fileOwner(info)
	return uid == os.Geteuid() && gid == os.Getegid()
}

func copyFile(source, path string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, binaryMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(binaryMode), out.Sync(), out.Close())
}
