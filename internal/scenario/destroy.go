package scenario

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Leftover reports whether destroy has something to remove although there is no
// regctl.yaml: what an interrupted command left, or data that was kept.
func (r *Registry) Leftover(keepData bool) bool {
	if r.state.Phase == statedir.PhaseKept {
		return !keepData
	}
	return r.state.Phase != ""
}

// ClearAway removes what a command that was killed while it made or removed the
// registry's folder left beside it. It is for a registry that is not there.
func (r *Registry) ClearAway() error {
	class, err := statedir.Classify(r.Dir)
	if err != nil || class.Kind != statedir.Absent {
		return err
	}
	return statedir.ClearAway(r.Dir)
}

// ConnectForDestroy is Connect where regctl.yaml may be gone or wrong: only the
// runtime that was used counts.
func (r *Registry) ConnectForDestroy(ctx context.Context) (err error) {
	if _, err := os.Stat(r.Dir.Serve()); err == nil && r.exists && r.state.Phase == "" {
		return fault.Fail("restore it from a backup; or remove by hand what runs, and then the directory",
			"%s is missing: it is how regctl knows what it made", r.Dir.State())
	}
	if r.Spec.Runtime = cmp.Or(r.state.Runtime, r.Spec.Runtime); r.Spec.Runtime == "" {
		r.Spec.Runtime = r.PickRuntime()
	}
	r.site, err = openRuntime(ctx, r)
	return err
}

// LockToDestroy is Lock for Destroy: nothing is made or finished first, only
// what a killed command did is counted in, so that a full disk is no obstacle.
func (r *Registry) LockToDestroy(ctx context.Context, timeout time.Duration) (err error) {
	told := r.tellWait()
	r.lock, err = statedir.Acquire(ctx, r.Dir, timeout, "regctl destroy")
	told()
	if err != nil {
		return err
	}
	_, journal := os.Stat(r.Dir.Journal())
	r.state, err = statedir.TakeStock(ctx, r.Dir, r.site.host)
	if err == nil {
		err = r.awaitLate(ctx, journal == nil)
	}
	if err != nil {
		return errors.Join(err, r.Unlock())
	}
	return nil
}

// PlanDestroy lists what Destroy would remove.
func (r *Registry) PlanDestroy(keepData bool) step.Planned {
	var planned step.Planned
	add := func(target, why string) {
		planned.Changes = append(planned.Changes, step.Named{Step: "destroy", Change: step.Change{
			Items: []step.Item{{Target: target, Action: host.Remove, Diff: why}},
		}})
	}
	for _, receipt := range slices.Backward(r.made()) {
		switch {
		case keepData && r.holdsData(receipt):
		case receipt.Before.Exists:
			add(receipt.Path, "(put back as it was before)")
		case receipt.Kind == host.File || receipt.Kind == host.Dir || receipt.Kind == host.Link:
			add(receipt.Path, "")
		case receipt.Kind == engine.KindImage:
			add(receipt.Ref.String(), "("+unlessUsed+")")
		default:
			add(receipt.Ref.String(), "")
		}
	}
	for _, dir := range slices.Backward(r.state.Made) {
		if !keepData {
			add(dir, "")
		}
	}
	return planned
}

// unlessUsed is what becomes of an image: other registries of ours run from it.
const unlessUsed = "unless something else uses it"

// made are the receipts, with what is ours in an engine counted as made by us even
// where it was there before: it was left by an init that was killed, whose request
// the engine still carried out, or by another registry of the same image. An image
// that is used yet stays, so what runs comes after what it runs from, to be undone first. A site may be what
// is left of an order that was killed.
func (r *Registry) made() []host.Receipt {
	var images, rest []host.Receipt
	if ref := (host.Ref{Kind: engine.KindImage, Path: r.state.Image}); ref.Path != "" {
		images = append(images, host.Receipt{Host: host.LocalName, Ref: ref, Action: host.Create, Changed: true})
	}
	for _, receipt := range r.state.Receipts {
		switch {
		case len(images) > 0 && receipt.Ref == images[0].Ref:
			continue
		case receipt.Kind == engine.KindContainer, receipt.Kind == engine.KindProcess, receipt.Kind == engine.KindService,
			receipt.Kind == engine.KindImage, receipt.Kind == kindNodeImage, isSite(receipt.Kind):
			receipt.Action, receipt.Before = host.Create, host.Fact{}
		}
		if receipt.Kind == engine.KindImage || receipt.Kind == kindNodeImage || receipt.Kind == engine.KindBinary {
			images = append(images, receipt)
		} else {
			rest = append(rest, receipt)
		}
	}
	return append(images, rest...)
}

// isOurs compares a receipt's path with one in Dir, which may have had another
// name when the receipt was written: that of a symlink to it.
func (r *Registry) isOurs(path, ours string) bool {
	return path == ours || filepath.Base(path) == filepath.Base(ours) && statedir.SameFolder(filepath.Dir(path), string(r.Dir))
}

// holdsData reports whether a receipt is of the folder or volume with the images.
func (r *Registry) holdsData(receipt host.Receipt) bool {
	return receipt.Kind == engine.KindVolume || r.isOurs(receipt.Path, r.Dir.Data())
}

// Destroy removes what regctl made, by its record: first what runs, then images
// and logs, then files, at last the record itself. Killed halfway, a second
// Destroy finishes. It returns what it left because it holds something that
// regctl did not make, or was told to keep.
func (r *Registry) Destroy(ctx context.Context, keepData bool) (kept []string, err error) {
	var running, files, data []host.Receipt
	for _, receipt := range r.made() {
		switch plain := receipt.Kind == host.File || receipt.Kind == host.Dir || receipt.Kind == host.Link; {
		case keepData && r.holdsData(receipt):
			data = append(data, receipt)
		case receipt.Kind == proxy.KindServer && othersServed(ctx, receipt.Path):
		case plain:
			files = append(files, receipt)
		default:
			running = append(running, receipt)
		}
	}
	r.watch()
	if err := step.Undo(ctx, r.site.host, running); err != nil {
		return nil, err
	}
	if err := r.removeTrees(ctx, keepData); err != nil {
		return nil, err
	}
	if err := firstError(canary.Remove(r.Dir), clearReadonly(r.Dir)); err != nil && !missing(err) {
		return nil, err
	}
	if err := step.Undo(ctx, r.site.host, files); err != nil {
		return nil, err
	}
	if err := firstError(statedir.ForgetClients(r.Dir), statedir.ForgetNodes(r.Dir)); err != nil {
		return nil, err
	}
	folders, err := step.Left(ctx, r.site.host, files)
	if err != nil {
		return nil, err
	}
	if kept, err = r.replaced(ctx, running); err != nil {
		return kept, err
	}
	kept = append(kept, r.keptOnNodes...)
	if len(data) > 0 {
		return append(kept, paths(data)...), r.keep(data)
	}
	_, err = statedir.Erase(r.Dir, r.lock)
	return append(others(string(r.Dir), folders), kept...), err
}

// others lists what is in dir that is not ours, and in those of its folders that
// were, which are not listed themselves.
func others(dir string, ours []string) []string {
	var found []string
	entries, _ := os.ReadDir(dir) // mostly it is gone
	for _, e := range entries {
		switch path := filepath.Join(dir, e.Name()); {
		case slices.Contains(ours, path):
			found = append(found, others(path, ours)...)
		case e.Name() != "lost+found":
			found = append(found, path)
		}
	}
	return found
}

// replaced names what others put in the place of a container or the like.
func (r *Registry) replaced(ctx context.Context, running []host.Receipt) (found []string, err error) {
	var refs []host.Ref
	for _, receipt := range running {
		refs = append(refs, receipt.Ref)
	}
	seen, err := r.site.host.Look(ctx, refs)
	for _, ref := range refs {
		if what := seen[ref].Foreign; what != "" {
			found = append(found, ref.String()+": "+what)
		}
	}
	return found, err
}

// removeTrees removes the folders that the registry itself writes to, and what cron
// wrote.
func (r *Registry) removeTrees(ctx context.Context, keepData bool) error {
	trees := []string{r.Dir.Logs()}
	if !keepData {
		trees = append(trees, r.Dir.Data())
	}
	var ops []host.Op
	for _, path := range trees {
		made := slices.ContainsFunc(r.state.Receipts, func(known host.Receipt) bool { return r.isOurs(known.Path, path) })
		if made {
			ops = append(ops, host.Op{Ref: host.Ref{Kind: kindTree, Path: path}, Action: host.Remove, Before: host.AnyBefore})
		}
	}
	if r.state.Runtime == spec.RuntimeProcess {
		ops = append(ops, removeOp(host.File, engine.BootLog(string(r.Dir))))
	}
	if _, err := r.site.host.Do(ctx, ops); err != nil {
		return err
	}
	return r.removeStray()
}

// removeStray removes what a process that was stopped before leaves, or a copy that
// was not finished.
func (r *Registry) removeStray() error {
	dir := string(r.Dir)
	for _, path := range []string{engine.PIDFile(dir), engine.LoopPIDFile(dir), engine.RenewLog(dir), r.Dir.Join("bin", "regctl.new")} {
		if err := os.Remove(path); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// keep leaves a record of the data and whose it is, for the next init or destroy.
func (r *Registry) keep(data []host.Receipt) error {
	r.state = statedir.State{
		SchemaVersion: r.state.SchemaVersion, Name: r.state.Name, Phase: statedir.PhaseKept, Runtime: r.state.Runtime,
		Made: r.state.Made, CreatedAt: r.state.CreatedAt, Receipts: data,
	}
	return errors.Join(statedir.Save(r.Dir, r.state), statedir.DropJournal(r.Dir), os.Remove(r.Dir.LockFile()))
}

func paths(receipts []host.Receipt) []string {
	var all []string
	for _, r := range receipts {
		all = append(all, r.Path)
	}
	return all
}
