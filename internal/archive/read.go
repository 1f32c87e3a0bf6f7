package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"slices"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

const (
	ageMagic = "age-encryption.org/"
	// maxManifest is more than a manifest of a million images has.
	maxManifest = 1 << 30
	// maxWindow is what the encoder's levels need, and more.
	maxWindow = 32 << 20
)

// Encrypted reports whether what r holds is encrypted. It reads, and takes nothing.
func Encrypted(r *bufio.Reader) bool {
	head, _ := r.Peek(len(ageMagic)) // what is shorter is neither
	return string(head) == ageMagic
}

// Visit is told of each entry in order; of a file it may read the bytes, to their
// end or not. Nothing it is told may be relied on before Read returns nil.
type Visit func(e Entry, data io.Reader) error

// Read reads a whole archive. A wrong passphrase, a file that is not all there and
// one of which any bit has changed are usage faults, and so is one that holds a path
// or a link that leads out of the directory.
func Read(from io.Reader, passphrase secret.String, visit Visit) (Manifest, error) {
	r := bufio.NewReaderSize(from, 1<<16)
	var in io.Reader = r
	switch encrypted := Encrypted(r); {
	case encrypted && passphrase.Empty():
		return Manifest{}, fault.Usage("--passphrase-file FILE gives its passphrase", "the archive is encrypted")
	case encrypted:
		opened, err := decrypt(r, passphrase)
		if err != nil {
			return Manifest{}, err
		}
		in = opened
	case !passphrase.Empty():
		// Whoever gives one counts on it that nobody else made the archive.
		return Manifest{}, fault.Usage("leave the passphrase out if it was made with --no-encrypt", "the archive is not encrypted")
	}
	whole := &tail{from: in, hash: sha256.New()}
	z, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return Manifest{}, err
	}
	defer z.Close()
	m, err := readTar(tar.NewReader(z), visit)
	if err != nil {
		return m, err
	}
	if n, err := io.Copy(io.Discard, z); err != nil {
		return m, broken(err)
	} else if n > 0 {
		return m, damaged("%d bytes follow the tar", n)
	}
	return m, whole.check()
}

func decrypt(r io.Reader, passphrase secret.String) (io.Reader, error) {
	identity, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	opened, err := age.Decrypt(r, identity)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, fault.Usage("give the passphrase that backup was given", "the passphrase does not open the archive")
	case err != nil:
		return nil, broken(err)
	}
	return opened, nil
}

// readTar compares each entry with the manifest at the end.
func readTar(t *tar.Reader, visit Visit) (Manifest, error) {
	var found []Entry
	seen := map[string]Kind{}
	for {
		h, err := t.Next()
		if err != nil {
			return Manifest{}, broken(err) // the end too: the manifest comes before it
		}
		if h.Name == ManifestName {
			m, err := readManifest(t)
			if err == nil && !slices.Equal(m.Entries, found) {
				err = damaged("what is in it is not what its manifest says")
			}
			if err == nil {
				if _, end := t.Next(); end != io.EOF {
					err = damaged("something follows its manifest")
				}
			}
			return m, err
		}
		e, err := entryOf(h)
		if err != nil {
			return Manifest{}, err
		}
		if err := e.check(seen); err != nil {
			return Manifest{}, damaged("it holds %w", err)
		}
		seen[e.Path] = e.Kind
		sum := sha256.New()
		data := &counted{from: io.TeeReader(t, sum)}
		if err := visit(e, data); err != nil {
			if data.err != nil {
				return Manifest{}, broken(data.err)
			}
			return Manifest{}, err
		}
		if _, err := io.Copy(io.Discard, data); err != nil {
			return Manifest{}, broken(err)
		}
		if e.Kind == File {
			e.SHA256 = hex.EncodeToString(sum.Sum(nil))
		}
		found = append(found, e)
	}
}

func entryOf(h *tar.Header) (Entry, error) {
	e := Entry{Path: h.Name, Mode: h.FileInfo().Mode().Perm()}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Kind, e.Size = File, h.Size
	case tar.TypeDir:
		e.Kind = Dir
	case tar.TypeSymlink:
		e.Kind, e.Mode, e.Target = Link, 0, h.Linkname
	default:
		return e, damaged("it holds something that is neither file, folder nor link: %q", h.Name)
	}
	return e, nil
}

func readManifest(r io.Reader) (m Manifest, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return m, broken(err)
	}
	var version struct{ SchemaVersion int }
	if err := json.Unmarshal(data, &version); err != nil {
		return m, damaged("its manifest: %w", err)
	}
	if version.SchemaVersion > Version {
		return m, fault.Usage("use the newer regctl that made it", "the archive has schema version %d, and this regctl knows %d", version.SchemaVersion, Version)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, damaged("its manifest: %w", err)
	}
	if m.SchemaVersion < 1 {
		return m, damaged("its manifest has no schemaVersion")
	}
	return m, nil
}

// broken says of a read that failed what that means for the archive.
func broken(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.IsUsage(err):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged("its end is missing")
	}
	return damaged("%w", err)
}

// counted remembers why reading failed, whatever the reader makes of it.
type counted struct {
	from io.Reader
	err  error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// tail hashes what goes through it and holds the trailer back.
type tail struct {
	from io.Reader
	hash hash.Hash
	held []byte // at most trailerSize, not handed out yet
	end  error
}

func (t *tail) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for t.end == nil {
		t.held = slices.Grow(t.held, len(p))
		n, err := t.from.Read(t.held[len(t.held) : len(t.held)+len(p)])
		t.end = err
		t.held = t.held[:len(t.held)+n]
		if free := len(t.held) - trailerSize; free > 0 {
			n := copy(p, t.held[:free])
			t.hash.Write(p[:n])
			t.held = append(t.held[:0], t.held[n:]...)
			return n, nil
		}
	}
	return 0, t.end
}

// check is for when all was read.
func (t *tail) check() error {
	switch {
	case !errors.Is(t.end, io.EOF):
		return broken(t.end)
	case !bytes.Equal(t.held, t.hash.Sum(bytes.Clone(trailerHead))):
		return damaged("its checksum is wrong")
	}
	return nil
}
