package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/regctl/regctl/internal/host"
)

// KindBinary is a copy of our own executable. Its Fact's Data is a JSON object
// with the content's SHA-256, never the 25 MB themselves.
const KindBinary host.Kind = "binary"

// Binary is the host.Handler of KindBinary. It keeps two files beside the copy:
// NAME.sum remembers its hash, so that it is not read again each time, and
// NAME.old the copy before this one, so that a change can be undone.
type Binary struct {
	// Source is the executable to copy: os.Executable, unless another is meant.
	Source string
}

type binaryData struct {
	SHA256 string `json:"sha256"`
}

// binarySum is the content of NAME.sum.
type binarySum struct {
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime"` // nanoseconds since 1970
	SHA256 string `json:"sha256"`
}

// BinaryFact is what source's copy at path should be. It reads source, unless its
// size and time of change are those of the copy, which has the same then.
func BinaryFact(source, path string) (host.Fact, error) {
	info, err := os.Stat(source)
	if err != nil {
		return host.Fact{}, err
	}
	sum, ok := remembered(path)
	if !ok || sum.Size != info.Size() || sum.MTime != info.ModTime().UnixNano() {
		if sum.SHA256, err = hashFile(source); err != nil {
			return host.Fact{}, err
		}
	}
	return binaryFact(sum.SHA256, os.Geteuid(), os.Getegid()), nil
}

func binaryFact(sum string, uid, gid int) host.Fact {
	return host.Fact{Exists: true, Data: canonical(binaryData{sum}), Mode: 0o755, UID: uid, GID: gid}
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
	sum, ok := remembered(path)
	if !ok || sum.Size != info.Size() || sum.MTime != info.ModTime().UnixNano() {
		if sum.SHA256, err = hashFile(path); err != nil {
			return host.Fact{}, err
		}
	}
	uid, gid := fileOwner(info)
	fact := binaryFact(sum.SHA256, uid, gid)
	fact.Mode = info.Mode().Perm()
	return fact, nil
}

// Do copies Source to op.Path by a rename, or puts the previous copy back where
// that is what op wants, or removes the copy and the files beside it.
func (b Binary) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	path := op.Path
	if op.Action == host.Remove {
		// The copy goes last: once it is gone nobody looks for the others.
		for _, name := range []string{path + ".sum", path + ".old", path + ".new", path} {
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
	if sum, err := hashFile(path + ".old"); err == nil && sum == want.SHA256 {
		source = path + ".old"
	}
	if err := replaceBinary(ctx, source, path, want.SHA256, op.Want.Mode); err != nil {
		return host.Fact{}, err
	}
	return b.Look(ctx, path)
}

// replaceBinary puts a copy of source at path; the one that was there becomes
// path.old. A kill at any point leaves a whole file, old or new, at path.
func replaceBinary(ctx context.Context, source, path, sum string, mode fs.FileMode) error {
	next := path + ".new"
	info, err := copyFile(ctx, source, next, sum, mode)
	if err != nil {
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
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return os.WriteFile(path+".sum", canonical(binarySum{info.Size(), info.ModTime().UnixNano(), sum}), 0o600)
}

// copyFile copies source, whose content must have the hash sum, with its time of
// change, which is what NAME.sum goes by.
func copyFile(ctx context.Context, source, path, sum string, mode fs.FileMode) (fs.FileInfo, error) {
	in, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	h := sha256.New()
	if _, err := io.Copy(out, io.TeeReader(in, h)); err != nil {
		return nil, fmt.Errorf("copy %s to %s: %w", source, path, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != sum {
		return nil, fmt.Errorf("%s changed while we were working on it", source)
	}
	if err := errors.Join(ctx.Err(), out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return nil, err
	}
	return info, os.Chtimes(path, info.ModTime(), info.ModTime())
}

// remembered reads NAME.sum.
func remembered(path string) (sum binarySum, ok bool) {
	data, err := os.ReadFile(path + ".sum")
	ok = err == nil && json.Unmarshal(data, &sum) == nil && sum.SHA256 != ""
	return sum, ok
}

func hashFile(path string) (string, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
