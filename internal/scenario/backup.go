package scenario

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/archive"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// MayBackUp refuses, before anything is asked, what Backup could not do.
func (r *Registry) MayBackUp(file string, data bool) error {
	if _, err := os.Lstat(file); err == nil {
		return fault.Usage("choose another name: a backup overwrites nothing", "%s exists", file)
	} else if !missing(err) {
		return fault.Usage("choose another place", "%w", err)
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return fault.Usage("choose a folder that exists", "%w", err)
	}
	dir, err := filepath.EvalSymlinks(string(r.Dir))
	if err != nil {
		return err
	}
	if strings.HasPrefix(folder+string(filepath.Separator), dir+string(filepath.Separator)) {
		return fault.Usage("choose a place outside: destroy removes the directory", "%s is in the registry's own directory", file)
	}
	switch s := r.Spec.Storage; {
	case !data:
	case s.Volume != "":
		return fault.Usage("leave --with-data out, and copy the volume with: docker run --rm -v "+s.Volume+":/v -v $PWD:/out IMAGE tar -C /v -cf /out/images.tar .",
			"the images are in the Docker volume %s, which a backup does not reach", s.Volume)
	case s.Driver != spec.StorageFilesystem:
		return fault.Usage("leave --with-data out", "the images are in storage %s, not on this machine", s.Driver)
	}
	return nil
}

// PlanBackup lists what Backup would write.
func (r *Registry) PlanBackup(ctx context.Context, file string, data bool) (step.Planned, error) {
	list := &listed{}
	if err := r.walkAll(ctx, data, list); err != nil {
		return step.Planned{}, err
	}
	item := step.Item{Target: file, Action: host.Create, Diff: strings.Join(list.lines, "")}
	return step.Planned{Changes: []step.Named{{Step: "backup", Change: step.Change{Items: []step.Item{item}}}}}, nil
}

// Backup writes the registry's directory, and with data its images, to file: 0600,
// whole or not at all, and never over one that is there. r is locked, so that
// nothing of regctl's changes meanwhile; the registry may run, and take pushes.
//
// Of the images it is guaranteed that each manifest in the archive has its blobs
// there too: links are copied before what they lead to, a registry writes in the
// opposite order, and nothing is ever removed but by gc, which needs the lock.
// Pushes that end while it runs may be in it or not.
func (r *Registry) Backup(ctx context.Context, file string, data bool, passphrase secret.String) (m archive.Manifest, err error) {
	if _, err := os.Lstat(r.Dir.Journal()); err == nil {
		return m, fault.Fail("regctl apply finishes it", "a command that changed %s was killed", r.Dir)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".regctl-backup-*.tmp") // 0600
	if err != nil {
		return m, host.Failed("write", file, err)
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	w, err := archive.NewWriter(temp, passphrase)
	if err != nil {
		return m, err
	}
	if err := r.walkAll(ctx, data, w); err != nil {
		return m, host.Failed("write", file, err)
	}
	m, err = w.Close(archive.About{Name: r.Name(), Dir: string(r.Dir), CreatedAt: time.Now().UTC().Truncate(time.Second), Data: data})
	if err == nil {
		err = temp.Sync()
	}
	if err == nil {
		err = os.Link(temp.Name(), file) // unlike a rename, it overwrites nothing
	}
	if err != nil {
		return m, host.Failed("write", file, err)
	}
	return m, syncFolder(filepath.Dir(file))
}

// syncFolder has a new name survive a power failure. Where folders cannot be synced
// there is nothing to do.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return nil //nolint:nilerr // it need not be one that we may read
	}
	_ = dir.Sync()
	return dir.Close()
}

// sink takes what is walked over: an archive, or a list.
type sink interface {
	Dir(path string, mode fs.FileMode) error
	Link(path, target string) error
	File(path string, mode fs.FileMode, size int64, from io.Reader) error
}

// listed is a sink for people.
type listed struct{ lines []string }

func (l *listed) add(path string) error {
	l.lines = append(l.lines, "+"+path+"\n")
	return nil
}

func (l *listed) Dir(path string, _ fs.FileMode) error { return l.add(path + "/") }

func (l *listed) Link(path, target string) error                              { return l.add(path + " -> " + target) }
func (l *listed) File(path string, _ fs.FileMode, _ int64, _ io.Reader) error { return l.add(path) }

func (r *Registry) walkAll(ctx context.Context, data bool, to sink) error {
	if err := walk(ctx, string(r.Dir), "", to, walkRules{}); err != nil || !data {
		return err
	}
	// A root of its own: the registry writes there, and a link of its making leads
	// nowhere else.
	path, err := filepath.EvalSymlinks(r.Dir.Data())
	if missing(err) {
		return nil // --no-start, and nothing was pushed yet
	}
	if err != nil {
		return err
	}
	if r.Progress != nil {
		r.Progress("copying the images")
	}
	return walk(ctx, path, dataName, to, walkRules{data: true})
}

const dataName = "data"

// inBackup tells of a path in the registry's directory whether backups have it. What
// runs, is running or can be made anew is left out. Restore refuses the rest too.
func inBackup(path string) bool {
	top, below, _ := strings.Cut(path, "/")
	switch top {
	case "lock", "journal", "logs", "bin", "nodes", "lost+found", "process.pid", "renew.pid", "renew.log", "boot.log":
		return false
	case "serve":
		if strings.HasPrefix(below, "ctl/") {
			return false
		}
	}
	temp, _ := filepath.Match(host.TempPattern, filepath.Base(path))
	return !temp
}
