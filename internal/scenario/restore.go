package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/archive"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Archived is an archive that was read from end to end and found sound.
type Archived struct {
	archive.Manifest
	Spec spec.Spec

	file       *os.File
	passphrase secret.String
	sum        string // SHA-256 of the whole file
	state      statedir.State
	// shared are the password and the CA of its Redis, by their paths in the archive.
	shared map[string][]byte
}

// maxConfig is more than regctl.yaml or state.json ever has.
const maxConfig = 64 << 20

// ReadArchive reads all of file, which stays open until Close, and refuses one that
// is damaged.
func ReadArchive(ctx context.Context, file *os.File, passphrase secret.String) (*Archived, error) {
	a := &Archived{file: file, passphrase: passphrase, shared: map[string][]byte{}}
	var specYAML, state []byte
	sum := sha256.New()
	m, err := archive.Read(io.TeeReader(interruptible{ctx, file}, sum), passphrase, func(e archive.Entry, data io.Reader) (err error) {
		if !inBackup(e.Path) {
			return fault.Usage("take another backup", "the archive holds %s, which no backup has", e.Path)
		}
		switch e.Path {
		case specName:
			specYAML, err = io.ReadAll(io.LimitReader(data, maxConfig))
		case stateName:
			state, err = io.ReadAll(io.LimitReader(data, maxConfig))
		case redisPasswordPath, redisCAPath:
			a.shared[e.Path], err = io.ReadAll(io.LimitReader(data, maxConfig))
		}
		return err
	})
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	a.Manifest, a.sum = m, hex.EncodeToString(sum.Sum(nil))
	if a.Spec, err = spec.Parse(file.Name()+":"+specName, specYAML); err != nil {
		return nil, err
	}
	a.state, err = statedir.ParseState(statedir.Dir(file.Name()+":"), state)
	return a, err
}

const (
	specName  = "regctl.yaml"
	stateName = "state.json"
)

// MayRestore makes r, which does not exist yet, what a is, as far as that needs no
// change, and refuses what could not become of it here: another registry in its
// place, a name or a port that is taken, a runtime that is not there. It reports
// whether r came from that very archive before: then there is nothing to restore.
func (r *Registry) MayRestore(ctx context.Context, a *Archived) (done bool, err error) {
	switch {
	case r.state.Restored == a.sum:
		return true, nil
	case r.exists || r.state.Phase != "":
		return false, fault.Usage("regctl destroy removes it; --dir or --name names another place", "there is a registry in %s", r.Dir)
	}
	if err := r.WantFile(a.Spec, nil); err != nil {
		return false, err
	}
	if err := r.Connect(ctx); err != nil {
		return false, err
	}
	seen, err := r.site.host.Look(ctx, []host.Ref{r.site.runs})
	if err != nil {
		return false, err
	}
	if now := seen[r.site.runs]; now.Exists && now.Foreign != "" {
		return false, &host.ForeignError{Ref: r.site.runs, What: now.Foreign}
	}
	r.restoring = a
	return false, r.site.preflight(ctx)
}

// lay puts our copies of what a Redis needs, which a has, where they will be: on a new
// machine there is often nothing else.
func (a *Archived) lay(seen host.Facts, p Place) {
	if a == nil {
		return
	}
	for path, data := range a.shared {
		if ref := fileRef(p.Dir.Join(path)); !seen[ref].Exists {
			seen[ref] = host.Fact{Exists: true, Data: data, Mode: 0o600}
		}
	}
}

// PlanRestore lists what Restore would write.
func (r *Registry) PlanRestore(a *Archived) step.Planned {
	change := step.Named{Step: "restore"}
	for _, e := range a.Entries {
		if e.Kind != archive.Dir && !isData(e.Path) {
			change.Items = append(change.Items, step.Item{Target: r.Dir.Join(e.Path), Action: host.Create})
		}
	}
	if a.Data {
		change.Items = append(change.Items, step.Item{Target: r.Dir.Data(), Action: host.Create, Diff: "(the images)"})
	}
	return step.Planned{Changes: []step.Named{change}}
}

// Restore writes what is in a to r's directory, which is there whole afterwards or
// not at all. It starts nothing: Open and Apply do, from there.
func (r *Registry) Restore(ctx context.Context, a *Archived) error {
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return statedir.Plant(r.Dir, func(inside statedir.Dir, made []string) error {
		root, err := os.OpenRoot(string(inside))
		if err != nil {
			return err
		}
		defer root.Close()
		u := &unpacker{root: root, place: r.site.place}
		sum := sha256.New()
		m, err := archive.Read(io.TeeReader(interruptible{ctx, a.file}, sum), a.passphrase, u.entry)
		if err != nil {
			return fmt.Errorf("%s: %w", a.file.Name(), err)
		}
		if hex.EncodeToString(sum.Sum(nil)) != a.sum {
			return fault.Fail("run the same command again", "%s changed while it was read", a.file.Name())
		}
		if err := u.finish(); err != nil {
			return err
		}
		return r.plantState(ctx, root, inside, made, a, m.Entries)
	})
}

// plantState writes the state of a registry that was made by restoring it: what the
// old machine's was taught of is not undone here.
func (r *Registry) plantState(ctx context.Context, root *os.Root, inside statedir.Dir, made []string, a *Archived, entries []archive.Entry) error {
	s := a.state
	s.Image, s.Engine, s.Batch, s.Receipts = "", "", "", nil
	s.SchemaVersion, s.Program, s.Upgrade = statedir.StateVersion, r.Version, nil
	s.UID, s.GID, s.Made, s.Restored = r.site.place.UID, r.site.place.GID, made, a.sum
	for _, e := range entries {
		if e.Path == stateName || strings.HasPrefix(e.Path, "clients/") || strings.HasPrefix(e.Path, dataName+"/") {
			continue // not the steps'
		}
		kind := map[archive.Kind]host.Kind{archive.File: host.File, archive.Dir: host.Dir, archive.Link: host.Link}[e.Kind]
		there := host.Ref{Kind: kind, Path: inside.Join(e.Path)}
		seen, err := host.NewLocal(nil).Look(ctx, []host.Ref{there})
		if err != nil {
			return err
		}
		s.Receipts = append(s.Receipts, host.Receipt{
			Host: host.LocalName, Ref: host.Ref{Kind: kind, Path: r.Dir.Join(e.Path)},
			Action: host.Create, After: seen[there].Hash(), Changed: true,
		})
	}
	data, err := statedir.Encode(s)
	if err != nil {
		return err
	}
	return (&unpacker{root: root}).write(stateName, 0o600, -1, -1, bytes.NewReader(data))
}

func isData(name string) bool { return name == dataName || strings.HasPrefix(name, dataName+"/") }

// unpacker writes entries below root, which no link leads out of.
type unpacker struct {
	root    *os.Root
	place   Place
	folders []archive.Entry
}

func (u *unpacker) entry(e archive.Entry, data io.Reader) error {
	switch e.Kind {
	case archive.Dir:
		u.folders = append(u.folders, e)
		return u.root.Mkdir(e.Path, 0o700)
	case archive.Link:
		return u.root.Symlink(e.Target, e.Path)
	}
	if e.Path == stateName {
		return nil // becomes another
	}
	uid, gid := -1, -1
	if u.registrys(e.Path) {
		uid, gid = u.place.UID, u.place.GID
	}
	return u.write(e.Path, e.Mode, uid, gid, data)
}

// registrys tells what belongs to the user that the registry runs as.
func (u *unpacker) registrys(name string) bool {
	return isData(name) || strings.HasPrefix(name, "serve/")
}

func (u *unpacker) write(name string, mode os.FileMode, uid, gid int, data io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	return firstError(err, own(f, uid, gid), f.Chmod(mode), f.Sync(), f.Close())
}

// own gives a file or folder to a user; -1 leaves it ours. Only root can, and else
// it is that user's already.
func own(f *os.File, uid, gid int) error {
	if os.Geteuid() != 0 || uid < 0 {
		return nil
	}
	return f.Chown(uid, gid)
}

// finish gives folders their modes and owners, the innermost first.
func (u *unpacker) finish() error {
	for _, e := range slices.Backward(u.folders) {
		uid, gid, mode := -1, -1, e.Mode
		switch {
		case isData(e.Path):
			uid, gid = u.place.UID, u.place.GID
		case path.Clean(e.Path) == "serve" || u.registrys(e.Path):
			as := serveDir(u.place, e.Path)
			uid, gid, mode = as.UID, as.GID, as.Mode
		}
		f, err := u.root.Open(e.Path)
		if err != nil {
			return err
		}
		if err := firstError(own(f, uid, gid), f.Chmod(mode), f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
