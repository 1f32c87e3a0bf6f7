package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// layer is a v1.Layer that is made anew each time it is read. It is not
// compressed: the engine is on this machine, and gzip would only cost time.
type layer struct {
	exe    string
	digest v1.Hash
	size   int64
}

func newLayer(exe string) (*layer, error) {
	l := &layer{exe: exe}
	sum := sha256.New()
	var size counter
	if err := l.write(io.MultiWriter(sum, &size)); err != nil {
		return nil, err
	}
	l.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	l.size = int64(size)
	return l, nil
}

func (l *layer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return l.Uncompressed() }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return stream(l.write), nil }

// stream turns a writing function into a reader.
func stream(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	return r
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// entry is a file of the image, or a directory where its name ends in a slash.
type entry struct {
	name string
	mode int64
	uid  int
	data string
}

// entries are all but the executable, in the order in which they are written.
// /var/lib/registry is open to all because a new named volume takes its mode and owner, and
// the user that a container runs as is not known here.
func entries() []entry {
	return []entry{
		{"etc/", 0o755, 0, ""},
		{"etc/group", 0o644, 0, "root:x:0:\nregctl:x:65532:\n"},
		{"etc/nsswitch.conf", 0o644, 0, "hosts: files dns\n"},
		{"etc/passwd", 0o644, 0, "root:x:0:0:root:/:/sbin/nologin\nregctl:x:65532:65532:regctl:/:/sbin/nologin\n"},
		{"etc/ssl/", 0o755, 0, ""},
		{"etc/ssl/certs/", 0o755, 0, ""},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, roots()},
		{"serve/", 0o755, 0, ""},
		{"tmp/", 0o1777, 0, ""},
		{"var/", 0o755, 0, ""},
		{"var/lib/", 0o755, 0, ""},
		{"var/lib/registry/", 0o1777, 0, ""},
	}
}

// roots are Mozilla's certification authorities as they were compiled into this
// executable, not the host's: an update of the host's would otherwise make another
// image, and the registry would restart. Those trusted only up to a date are left
// out, for a PEM file cannot say so.
func roots() string {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.String()
}

func (l *layer) write(w io.Writer) error {
	file, err := os.Open(l.exe)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, e := range entries() {
		h := header(e.name, e.mode, int64(len(e.data)))
		h.Uid, h.Gid = e.uid, e.uid
		if e.name[len(e.name)-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(t, e.data); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(header(Entrypoint[1:], 0o755, info.Size())); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(t, io.LimitReader(file, info.Size()), make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("%s: %w", l.exe, err)
	}
	return t.Close()
}

func header(name string, mode, size int64) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     mode,
		Size:     size,
		ModTime:  epoch,
		Format:   tar.FormatUSTAR,
	}
}
