package scenario

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// kindSocketFolder is the folder of the socket on which a registry listens for its
// proxy: the registry's user owns it, and its group, the proxy's, passes on to the
// socket by setgid, so that the registry need not be of that group.
const kindSocketFolder host.Kind = "socket folder"

// socketFolder is the step that keeps it.
type socketFolder struct {
	path     string
	uid, gid int
}

func socketSteps(s spec.Spec, p Place) []step.Step {
	if !s.Socket() {
		return nil
	}
	var steps []step.Step
	for n := 1; n <= s.Count(); n++ {
		steps = append(steps, socketFolder{replicaSocketDir(s, n), p.UID, ourSocketGID(p)})
	}
	return steps
}

func (f socketFolder) ref() host.Ref     { return host.Ref{Kind: kindSocketFolder, Path: f.path} }
func (f socketFolder) Name() string      { return f.path }
func (f socketFolder) Reads() []host.Ref { return []host.Ref{f.ref()} }

func (f socketFolder) Plan(seen host.Facts) (step.Change, error) {
	want := host.Fact{Exists: true, Mode: 0o750, UID: f.uid, GID: f.gid, Data: []byte("setgid")}
	now := seen[f.ref()]
	if now.Foreign != "" {
		return step.Change{}, &host.ForeignError{Ref: f.ref(), What: now.Foreign}
	}
	if now.Hash() == want.Hash() {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: f.path, Action: action(now), Diff: fmt.Sprintf("(directory, mode 2750, owner %d:%d: the registry's socket)", f.uid, f.gid)}},
		Ops:   []host.Op{writeOp(f.ref(), seen, want)},
	}, nil
}

// socketFolders is the host.Handler of kindSocketFolder.
type socketFolders struct{}

// Look tells owner, mode and whether new things get the folder's group.
func (socketFolders) Look(_ context.Context, path string) (host.Fact, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return host.Fact{}, nil
	case err != nil:
		return host.Fact{}, err
	case !info.IsDir():
		return host.Fact{Exists: true, Foreign: "not a folder"}, nil
	}
	fact := host.Fact{Exists: true, Mode: info.Mode().Perm()}
	if info.Mode()&fs.ModeSetgid != 0 {
		fact.Data = []byte("setgid")
	}
	fact.UID, fact.GID = ownerOf(info)
	return fact, nil
}

// Do makes the folder, whole by a rename, or mends it, or takes it away with the socket
// that a registry which was killed left in it.
func (h socketFolders) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if op.Action == host.Remove {
		return host.Fact{}, removeSocketFolder(op.Path)
	}
	dir := op.Path
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := openTop(filepath.Dir(dir)); err != nil {
			return host.Fact{}, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return host.Fact{}, err
		}
	}
	err := os.Lchown(dir, op.Want.UID, op.Want.GID)
	if err == nil { // after the owner: a change of that clears the bit
		err = os.Chmod(dir, op.Want.Mode.Perm()|fs.ModeSetgid)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, dir)
}

// openTop makes a folder that all may pass, whatever the umask.
func openTop(dir string) error {
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func removeSocketFolder(dir string) error {
	for _, name := range []string{socketName, embeddedregistry.SharedName} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(dir)) // unless another registry has its own there
	return nil
}
