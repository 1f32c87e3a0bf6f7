// Package archive is the file that backup writes and restore reads: a tar of a
// registry's directory, compressed with zstd and, with a passphrase, encrypted by
// age (https://age-encryption.org/v1).
//
// The last entry of the tar is the manifest, which has the SHA-256 of every other
// one. Behind the zstd frame comes a skippable frame (RFC 8878, 3.1.2) with the
// SHA-256 of all bytes before it, which other zstd programs pass over: `tar --zstd`
// reads an archive that is not encrypted. Read refuses a file of which a single bit
// is not as it was written.
package archive

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// ManifestName is what the manifest is called in the tar.
const ManifestName = "regctl-backup.json"

// Version is the schema of the manifest that this program writes and reads.
const Version = 1

// About is what an archive says of itself.
type About struct {
	Name      string    `json:"name"` // the registry's
	Dir       string    `json:"dir"`  // where it was
	CreatedAt time.Time `json:"createdAt"`
	Data      bool      `json:"data"` // whether the images are in it
}

// Manifest lists what is in an archive.
type Manifest struct {
	SchemaVersion int `json:"schemaVersion"`
	About
	Entries []Entry `json:"entries"` // in the tar's order
}

// Kind is a kind of entry.
type Kind string

// Kinds of entry.
const (
	File Kind = "file"
	Dir  Kind = "dir"
	Link Kind = "link" // a symlink to something in the same archive's directory
)

// Entry is one file, folder or symlink.
type Entry struct {
	Path   string      `json:"path"` // slashes, relative to the registry's directory
	Kind   Kind        `json:"kind"`
	Mode   fs.FileMode `json:"mode,omitempty"` // permission bits; of a link none
	Size   int64       `json:"size,omitempty"` // bytes
	SHA256 string      `json:"sha256,omitempty"`
	Target string      `json:"target,omitempty"` // of a link
}

// check refuses an entry that could lead out of the directory it is unpacked in.
// Parents must be folders that came before it, so that no link is ever gone through.
func (e Entry) check(seen map[string]Kind) error {
	_, twice := seen[e.Path]
	switch {
	case e.Path == "." || e.Path == ManifestName || path.Clean(e.Path) != e.Path ||
		!filepath.IsLocal(filepath.FromSlash(e.Path)) || strings.ContainsAny(e.Path, "\\\x00"):
		return fmt.Errorf("a path that is not allowed: %q", e.Path)
	case twice:
		return fmt.Errorf("%q twice", e.Path)
	case path.Dir(e.Path) != "." && seen[path.Dir(e.Path)] != Dir:
		return fmt.Errorf("%q without its folder", e.Path)
	case e.Kind == Link && !staysInside(e.Path, e.Target):
		return fmt.Errorf("a link that leads elsewhere: %q -> %q", e.Path, e.Target)
	}
	return nil
}

// staysInside demands that a link's target has no ".." behind a name: the kernel
// would go up from wherever that name leads, which text does not tell.
func staysInside(link, target string) bool {
	return target != "" && path.Clean(target) == target && !path.IsAbs(target) && !strings.ContainsAny(target, "\\\x00") &&
		filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(link), target)))
}

func damaged(format string, args ...any) error {
	return fault.Usage("take another backup: nothing was touched", "the archive is damaged: "+format, args...)
}
