package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Writer writes one archive.
type Writer struct {
	manifest Manifest
	seen     map[string]Kind
	tar      *tar.Writer
	zstd     *zstd.Encoder
	sum      *summed
	age      io.WriteCloser // nil when it is not encrypted
}

// NewWriter starts an archive on w, encrypted unless the passphrase is empty. Close
// finishes it, and does not close w.
func NewWriter(w io.Writer, passphrase secret.String) (*Writer, error) {
	a := &Writer{seen: map[string]Kind{}}
	if !passphrase.Empty() {
		to, err := age.NewScryptRecipient(passphrase.Reveal())
		if err != nil {
			return nil, err
		}
		if a.age, err = age.Encrypt(w, to); err != nil {
			return nil, err
		}
		w = a.age
	}
	a.sum = &summed{w: w, hash: sha256.New()}
	var err error
	if a.zstd, err = zstd.NewWriter(a.sum, zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, err
	}
	a.tar = tar.NewWriter(a.zstd)
	return a, nil
}

// Dir adds a folder, which comes before what is in it.
func (a *Writer) Dir(path string, mode fs.FileMode) error {
	return a.add(Entry{Path: path, Kind: Dir, Mode: mode.Perm()}, tar.TypeDir, nil)
}

// Link adds a symlink.
func (a *Writer) Link(path, target string) error {
	return a.add(Entry{Path: path, Kind: Link, Target: target}, tar.TypeSymlink, nil)
}

// File adds a file of exactly size bytes.
func (a *Writer) File(path string, mode fs.FileMode, size int64, from io.Reader) error {
	return a.add(Entry{Path: path, Kind: File, Mode: mode.Perm(), Size: size}, tar.TypeReg, from)
}

func (a *Writer) add(e Entry, kind byte, from io.Reader) error {
	if err := e.check(a.seen); err != nil {
		return fault.Fail("move it elsewhere: regctl did not make it", "this cannot be backed up: %w", err)
	}
	a.seen[e.Path] = e.Kind
	h := tar.Header{Name: e.Path, Typeflag: kind, Mode: int64(e.Mode), Size: e.Size, Linkname: e.Target, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(&h); err != nil {
		return err
	}
	if e.Kind == File {
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(a.tar, sum), io.LimitReader(from, e.Size))
		if err == nil && n != e.Size {
			err = fmt.Errorf("%s became shorter while it was read", e.Path)
		}
		if err != nil {
			return err
		}
		e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	a.manifest.Entries = append(a.manifest.Entries, e)
	return nil
}

// Close writes the manifest and what proves that nothing is missing. An archive
// without them is refused.
func (a *Writer) Close(about About) (Manifest, error) {
	a.manifest.SchemaVersion, a.manifest.About = Version, about
	data, err := json.Marshal(a.manifest)
	if err != nil {
		return a.manifest, err
	}
	h := tar.Header{Name: ManifestName, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(data)), Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(&h); err != nil {
		return a.manifest, err
	}
	if _, err := a.tar.Write(data); err != nil {
		return a.manifest, err
	}
	if err := errors.Join(a.tar.Close(), a.zstd.Close()); err != nil {
		return a.manifest, err
	}
	if err := a.sum.trailer(); err != nil || a.age == nil {
		return a.manifest, err
	}
	return a.manifest, a.age.Close()
}

// Trailer: the skippable frame's magic number and length, both little-endian, and
// the SHA-256 of all bytes before it.
var trailerHead = []byte{0x5d, 0x2a, 0x4d, 0x18, sha256.Size, 0, 0, 0}

const trailerSize = 8 + sha256.Size

// summed hashes what goes through it.
type summed struct {
	w    io.Writer
	hash hash.Hash
}

func (s *summed) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	return n, err
}

func (s *summed) trailer() error {
	_, err := s.w.Write(s.hash.Sum(bytes.Clone(trailerHead)))
	return err
}
