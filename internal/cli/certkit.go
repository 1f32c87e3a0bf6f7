package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/trustkit"
)

// exportKit keeps a kit in dir: what is as it should be is not written again.
func (a *app) exportKit(ctx context.Context, dir string, dryRun bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	files, info, err := r.Kit()
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := mayHoldKit(dir, files); err != nil {
		return err
	}
	planned, err := step.Plan(ctx, host.NewLocal(nil), kitSteps(dir, files))
	if err != nil {
		return err
	}
	if dryRun {
		return a.showChanges(planned)
	}
	for _, c := range planned.Changes { // a file at a time, each whole: killed, it is run again
		if _, err := planned.Host.Do(ctx, c.Ops); err != nil {
			return err
		}
	}
	if planned.Empty() {
		a.ui.Say("nothing to do: the kit in %s is as wanted", dir)
	}
	result := caResult{SchemaVersion: 1, Endpoint: r.Spec.Endpoint(), Fingerprint: info.Fingerprint}
	for _, f := range files {
		result.Files = append(result.Files, filepath.Join(dir, f.Name))
	}
	return a.ui.Result(result, func(w io.Writer) {
		for _, path := range result.Files {
			fmt.Fprintln(w, path)
		}
		a.ui.Say("give the hosts' operators the CA's SHA-256 by another way than the kit: %s", info.Fingerprint)
	})
}

// kitSteps make the folder if its parent is there, and the files in it. Nothing in it
// is secret.
func kitSteps(dir string, files []trustkit.File) []step.Step {
	uid, gid := max(os.Geteuid(), 0), max(os.Getegid(), 0) // -1 where there are none
	var steps []step.Step
	if _, err := os.Stat(dir); err != nil { // one that is there keeps its mode
		steps = append(steps, step.MakeDir{Path: dir, Mode: 0o755, UID: uid, GID: gid})
	}
	for _, f := range files {
		mode := fs.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		steps = append(steps, step.WriteFile{Path: filepath.Join(dir, f.Name), Data: f.Data, Mode: mode, UID: uid, GID: gid})
	}
	return steps
}

// mayHoldKit refuses a folder that holds anything but an earlier kit, and one whose
// parent is not there.
func mayHoldKit(dir string, files []trustkit.File) error {
	if _, err := os.Stat(filepath.Dir(dir)); errors.Is(err, fs.ErrNotExist) {
		return fault.Usage("make the folder above it first", "%w", err)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Usage("name a folder", "%w", err)
	}
	var others []string
	for _, e := range entries {
		if !slices.ContainsFunc(files, func(f trustkit.File) bool { return f.Name == e.Name() }) {
			others = append(others, e.Name())
		}
	}
	if len(others) > 0 {
		return fault.Usage("name an empty folder, or one that is not there yet", "%s holds something that is not of a kit: %s",
			dir, strings.Join(others[:min(3, len(others))], ", "))
	}
	return nil
}
