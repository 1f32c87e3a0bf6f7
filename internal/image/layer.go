package image

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// entry is a file of the image, or a directory where its name ends in a slash.
type entry struct {
	name string
	mode int64
	data string
}

// entries are all but the executable, in the order in which they are written.
// /var/lib/registry is open to all because a new named volume takes its mode and
// owner, and the user that a container runs as is not known here.
func entries() []entry {
	return []entry{
		{"etc/", 0o755, ""},
		{"etc/group", 0o644, "root:x:0:\nregctl:x:65532:\n"},
		{"etc/nsswitch.conf", 0o644, "hosts: files dns\n"},
		{"etc/passwd", 0o644, "root:x:0:0:root:/:/sbin/nologin\nregctl:x:65532:65532:regctl:/:/sbin/nologin\n"},
		{"etc/ssl/", 0o755, ""},
		{"etc/ssl/certs/", 0o755, ""},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
		{"serve/", 0o755, ""},
		{"tmp/", 0o1777, ""},
		{"var/", 0o755, ""},
		{"var/lib/", 0o755, ""},
		{"var/lib/registry/", 0o1777, ""},
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

// block is the unit of a tar archive (POSIX.1-2001, "ustar Interchange Format").
const block = 512

// layerSize is how many bytes writeLayer writes: a header and whole blocks of
// data for each file, and two empty blocks.
func layerSize(exeSize int64) int64 {
	total := block + blocks(exeSize) + 2*block
	for _, e := range entries() {
		total += block + blocks(int64(len(e.data)))
	}
	return total
}

func blocks(size int64) int64 { return (size + block - 1) / block * block }

// writeLayer writes the image's files. They are not compressed: the engine is on
// this machine, and gzip would only cost time.
func writeLayer(w io.Writer, exe io.Reader, exeSize int64) error {
	t := tar.NewWriter(w)
	for _, e := range entries() {
		if err := writeFile(t, e); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(header(strings.TrimPrefix(Entrypoint, "/"), 0o755, exeSize)); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(t, io.LimitReader(exe, exeSize), make([]byte, 1<<20)); err != nil {
		return err
	}
	return t.Close()
}

func writeFile(t *tar.Writer, e entry) error {
	h := header(e.name, e.mode, int64(len(e.data)))
	if strings.HasSuffix(e.name, "/") {
		h.Typeflag = tar.TypeDir
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.WriteString(t, e.data)
	return err
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
