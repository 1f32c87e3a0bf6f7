package statedir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Recover finishes what a killed command left in d, which is locked. Files,
// directories and symlinks that it had not come to are made now, so that values
// generated once are not generated anew, and what was to be restarted or reloaded for
// them is, once more if need be: nobody could tell by looking. Of other things it is only
// noted what the batch made of them; an upgrade restarts things itself. It returns the
// receipts of the batch, which are in d's state too; load that again afterwards. With
// nothing to recover it does next to nothing. When it fails half-way the journal stays
// for the next time, but what is done is in the state, so that it can be undone.
func Recover(ctx context.Context, d Dir, h host.Host) ([]host.Receipt, error) {
	if err := sweepShared(d); err != nil {
		return nil, err
	}
	p, s, ok, err := unfinished(d)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, DropJournal(d)
	}
	receipts, failed := finish(ctx, h, p, true)
	s.Receipts = step.Merge(s.Receipts, receipts)
	if p.Upgrade && s.Upgrade != nil {
		s.Upgrade.note(receipts)
	}
	if failed != nil {
		return receipts, errors.Join(failed, Save(d, s))
	}
	s.Batch = p.Batch
	if err := Save(d, s); err != nil {
		return receipts, err
	}
	return receipts, DropJournal(d)
}

// TakeStock is Recover for a command that is about to undo everything: it makes
// nothing and writes nothing, so that it works on a full disk. It returns d's
// state with what a killed command did counted in. The journal stays; Erase or
// DropJournal removes it when all is undone.
func TakeStock(ctx context.Context, d Dir, h host.Host) (State, error) {
	if err := sweepShared(d); err != nil {
		return State{}, err
	}
	p, s, ok, err := unfinished(d)
	if err != nil || !ok {
		return s, err
	}
	receipts, err := finish(ctx, h, p, false)
	s.Receipts = step.Merge(s.Receipts, receipts)
	return s, err
}

// Unheeded lists what Recover would restart: what a killed command changed may be read at
// their start. It changes nothing, and d need not be locked.
func Unheeded(ctx context.Context, d Dir, h host.Host) ([]host.Op, error) {
	p, ok, err := readJournal(d)
	if err != nil || !ok || p.Upgrade {
		return nil, err
	}
	if s, err := LoadState(d); err != nil || s.Batch == p.Batch {
		return nil, err
	}
	var restarts []host.Op
	changed := map[host.Ref]bool{}
	for i, op := range p.Ops {
		if op.Action == host.Restart && heeds(op, changed, nil) {
			restarts = append(restarts, op)
			continue
		}
		if !isPlain(op.Kind) {
			continue
		}
		now, err := look(ctx, h, op.Ref)
		if err != nil {
			return nil, err
		}
		changed[op.Ref] = now.Hash() != p.Before[i].Hash()
	}
	return restarts, nil
}

// unfinished returns d's state and, if ok, the batch that it lacks. Temporary
// files are cleared away.
func unfinished(d Dir) (p pending, s State, ok bool, err error) {
	if err := sweep(string(d), false); err != nil {
		return p, s, false, err
	}
	if s, err = LoadState(d); err != nil {
		return p, s, false, err
	}
	if p, ok, err = readJournal(d); err != nil || !ok || s.Batch == p.Batch {
		return p, s, false, err
	}
	if s.Phase == "" {
		s = newState(base(string(d)), nil)
	}
	return p, s, true, sweepFolders(d, p.Ops)
}

// finish brings each thing of the batch to an end if forward is set, in order, and
// tells how it was before the batch and how it is now.
func finish(ctx context.Context, h host.Host, p pending, forward bool) ([]host.Receipt, error) {
	originals := map[host.Ref]host.Fact{}
	last := map[host.Ref]int{}
	for i, op := range p.Ops {
		originals[op.Ref] = p.Before[i]
		last[op.Ref] = i
	}
	var receipts []host.Receipt
	var errs []error
	changed, inUse := map[host.Ref]bool{}, map[host.Ref]bool{}
	for i, op := range p.Ops {
		if last[op.Ref] != i {
			continue
		}
		var receipt host.Receipt
		var err error
		if forward && !p.Upgrade && heeds(op, changed, inUse) {
			inUse[op.Ref] = true
			receipt, err = heedOne(ctx, h, op, originals[op.Ref])
		} else {
			wanted := len(op.OnlyIf) == 0 || slices.ContainsFunc(op.OnlyIf, func(ref host.Ref) bool { return changed[ref] })
			receipt, err = finishOne(ctx, h, op, originals[op.Ref], forward && wanted && isPlain(op.Kind))
		}
		changed[op.Ref] = receipt.Changed
		// What is to read a file that is new may not be there: the next command makes it.
		inUse[op.Ref] = inUse[op.Ref] || receipt.Changed && isPlain(op.Kind) && originals[op.Ref].Exists
		if err != nil {
			errs = append(errs, err)
		}
		if receipt.Changed {
			receipts = append(receipts, receipt)
		}
	}
	return receipts, errors.Join(errs...)
}

// heeds reports whether an op has something take over what changed: a restart; or a
// reload or a wait, of files that may be in use or of what was restarted now.
func heeds(op host.Op, changed, inUse map[host.Ref]bool) bool {
	switch op.Action {
	case host.Restart:
		return slices.ContainsFunc(op.OnlyIf, func(ref host.Ref) bool { return changed[ref] })
	case host.Wait:
		return slices.ContainsFunc(op.OnlyIf, func(ref host.Ref) bool { return inUse[ref] })
	}
	return false
}

// heedOne does such an op on a thing that is as it was. One that does not take it over
// is found by whoever looks at it next, and must not keep them from mending that.
func heedOne(ctx context.Context, h host.Host, op host.Op, original host.Fact) (host.Receipt, error) {
	r, err := finishOne(ctx, h, op, original, true)
	if err != nil && ctx.Err() == nil && (op.Action == host.Wait || r.Changed) {
		err = nil
	}
	return r, err
}

// finishOne does an op, if forward is set, on a thing that is as it was.
func finishOne(ctx context.Context, h host.Host, op host.Op, original host.Fact, forward bool) (host.Receipt, error) {
	r := host.Receipt{Host: h.Name(), Ref: op.Ref, Action: op.Action, Before: original}
	now, err := look(ctx, h, op.Ref)
	if err != nil {
		return r, err
	}
	var failed error
	if forward && now.Hash() == original.Hash() {
		op.Before, op.OnlyIf = host.AnyBefore, nil // both have just been looked at
		_, failed = h.Do(ctx, []host.Op{op})
		if now, err = look(ctx, h, op.Ref); err != nil {
			return r, errors.Join(failed, err)
		}
	}
	r.After = now.Hash()
	r.Changed = now.Foreign == "" && r.After != original.Hash()
	return r, failed
}

func look(ctx context.Context, h host.Host, ref host.Ref) (host.Fact, error) {
	facts, err := h.Look(ctx, []host.Ref{ref})
	return facts[ref], err
}

// isPlain is true of things that can be made from the journal alone.
func isPlain(k host.Kind) bool { return k == host.File || k == host.Dir || k == host.Link }

// sweepShared clears away the temporary files of folders that commands also write to
// which do not hold the lock.
func sweepShared(d Dir) error {
	var errs []error
	for _, folder := range []string{d.Clients(), d.Nodes(), filepath.Dir(d.Canary()), d.ACMEControl()} {
		errs = append(errs, sweep(folder, true))
	}
	return errors.Join(errs...)
}

// sweepFolders clears away the temporary files of the batch.
func sweepFolders(d Dir, ops []host.Op) error {
	var folders []string
	for _, op := range ops {
		folder := filepath.Dir(op.Path)
		switch {
		case isPlain(op.Kind):
			folders = append(folders, folder)
		case strings.HasSuffix(string(op.Kind), " site"): // of a proxy: the file, its link, its certificate
			folders = append(folders, folder, filepath.Dir(folder), filepath.Join(filepath.Dir(folder), "sites-enabled"))
		}
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		inside := folder == string(d) || strings.HasPrefix(folder, string(d)+string(filepath.Separator))
		if err := sweep(folder, !inside); err != nil {
			return err
		}
	}
	return nil
}

// tempName is host.TempPattern with its parts: the process that made the file.
var tempName = regexp.MustCompile(`^\.regctl-([0-9]+)-[0-9a-f]{1,10}\.tmp$`)

// sweep removes temporary files from a folder. A shared one may have those of
// another regctl at work, or of another user; they are left.
func sweep(folder string, shared bool) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil //nolint:nilerr // what the batch needs of it will say so
	}
	for _, e := range entries {
		parts := tempName.FindStringSubmatch(e.Name())
		if parts == nil {
			continue
		}
		if pid, err := strconv.Atoi(parts[1]); err != nil || shared && alive(pid) {
			continue
		}
		path := filepath.Join(folder, e.Name())
		if err := os.Remove(path); err != nil && !shared {
			return host.Failed("remove", path, err)
		}
	}
	return nil
}
