package trust

import (
	"io/fs"
	"slices"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// keepDir makes a directory where there is none, one level deep. One that is there
// stays as it is, a symlink to one too.
type keepDir struct {
	path     string
	mode     fs.FileMode
	uid, gid int
	id       string // the address of the registry for which it is made
}

func (k keepDir) ref() host.Ref     { return host.Ref{Kind: host.Dir, Path: k.path} }
func (k keepDir) Name() string      { return k.path }
func (k keepDir) Reads() []host.Ref { return []host.Ref{k.ref()} }

func (k keepDir) Plan(seen host.Facts) (step.Change, error) {
	old := seen[k.ref()]
	if old.Exists && (old.Foreign == "" || old.Foreign == "a symlink") {
		return step.Change{}, nil
	}
	c, err := step.MakeDir{Path: k.path, Mode: k.mode, UID: k.uid, GID: k.gid}.Plan(seen)
	return noted(c, partName("dir", k.id)), err
}

// noted has the client note under a part what a change makes or takes away.
func noted(c step.Change, part string) step.Change {
	for i := range c.Ops {
		c.Ops[i].Part = part
	}
	return c
}

// place keeps a file of ours, known as such by the client's ledger. Where somebody
// else's stands already, it is changed as a foreign file is, so that the original
// comes back; one that says the same is left alone.
type place struct {
	path     string
	data     []byte
	uid, gid int
	id       string // the registry's address
	store    Store
}

func (p place) file() host.Ref    { return host.Ref{Kind: host.File, Path: p.path} }
func (p place) edit() host.Ref    { return host.Ref{Kind: host.Edit, Path: p.path} }
func (p place) Name() string      { return p.path }
func (p place) Reads() []host.Ref { return []host.Ref{p.file(), p.edit()} }

func (p place) Plan(seen host.Facts) (step.Change, error) {
	old, as := seen[p.file()], seen[p.edit()]
	part := whole{p.id, p.store, p.data}
	if old.Exists && old.Foreign == "" && string(old.Data) == string(p.data) && (old.Edit == nil || p.asOurs(old)) {
		return step.Change{}, nil // whoever's it is; mode and owner are our business if it is ours
	}
	if as.Edit != nil || old.Exists && old.Edit == nil {
		return Edit{Path: p.path, Editor: part, Mode: 0o644, UID: p.uid, GID: p.gid}.Plan(seen)
	}
	name := part.Part()
	if old.Edit != nil && !old.Edit.Has(name) {
		name = old.Edit.Parts[0] // another store has placed it: it leaves with that
	}
	c, err := step.WriteFile{Path: p.path, Data: p.data, Mode: 0o644, UID: p.uid, GID: p.gid}.Plan(seen)
	return noted(c, name), err
}

// asOurs reports whether mode and owner are those that a file of ours has.
func (p place) asOurs(f host.Fact) bool { return f.Mode == 0o644 && f.UID == p.uid && f.GID == p.gid }

// Edit keeps a part of ours in a file of somebody else.
type Edit struct {
	Path     string
	Editor   Editor
	Mode     fs.FileMode // of a file that was not there
	UID, GID int
	// Then, if set, says what must follow the change from old to new, and may
	// refuse the whole: nothing has been touched by then.
	Then func(old, new []byte) ([]host.Op, error)

	prior, later []Editor // of the same file in the same plan
}

func (e Edit) ref() host.Ref { return host.Ref{Kind: host.Edit, Path: e.Path} }

// Name implements step.Step.
func (e Edit) Name() string { return e.Path }

// Reads implements step.Step.
func (e Edit) Reads() []host.Ref { return []host.Ref{e.ref()} }

// Plan implements step.Step.
func (e Edit) Plan(seen host.Facts) (step.Change, error) {
	old, err := e.before(seen[e.ref()])
	if err != nil || old.Exists && e.Editor.Has(old.Data) {
		return step.Change{}, err
	}
	want, err := e.edited(old, e.Editor)
	if err != nil {
		return step.Change{}, err
	}
	items, err := diff(e.Path, old, want)
	if err != nil {
		return step.Change{}, err
	}
	action := host.Create
	if old.Exists {
		action = host.Change
	}
	c := step.Change{Items: items, Ops: []host.Op{{Ref: e.ref(), Action: action, Want: want, Before: old.Hash(), Part: e.Editor.Part()}}}
	if e.Then == nil {
		return c, nil
	}
	next, err := e.Then(old.Data, want.Data)
	if err != nil {
		return step.Change{}, named(e.Path, err)
	}
	if slices.ContainsFunc(e.later, func(l Editor) bool { return !l.Has(want.Data) }) {
		return c, nil // what follows the last edit does for all
	}
	return following(c, e.ref(), next), nil
}

// before is the file as the edits of the same plan that come first leave it.
func (e Edit) before(old host.Fact) (host.Fact, error) {
	if old.Foreign != "" {
		return old, &host.ForeignError{Ref: e.ref(), What: old.Foreign}
	}
	for _, p := range e.prior {
		if old.Exists && p.Has(old.Data) {
			continue
		}
		var err error
		if old, err = e.edited(old, p); err != nil {
			return old, err
		}
	}
	return old, nil
}

func (e Edit) edited(old host.Fact, editor Editor) (host.Fact, error) {
	data, err := editor.Apply(old.Data)
	if err != nil {
		return old, named(e.Path, err)
	}
	if old.Exists {
		return host.Fact{Exists: true, Data: data, Mode: old.Mode, UID: old.UID, GID: old.GID}, nil
	}
	return host.Fact{Exists: true, Data: data, Mode: e.Mode, UID: e.UID, GID: e.GID}, nil
}

// following adds ops that are carried out only after a change of ref.
func following(c step.Change, ref host.Ref, ops []host.Op) step.Change {
	for _, op := range ops {
		op.OnlyIf = []host.Ref{ref}
		c.Ops = append(c.Ops, op)
		if op.Action != host.Wait {
			c.Items = append(c.Items, step.Item{Target: op.Path, Action: op.Action, OnlyIf: op.OnlyIf})
		}
	}
	return c
}

func named(path string, err error) error {
	return fault.Fail(fault.Hint(err), "%s: %w", path, err)
}

// diff shows a change of a file that is not ours: it may hold passwords.
func diff(path string, old, want host.Fact) ([]step.Item, error) {
	w := step.WriteFile{Path: path, Data: want.Data, Mode: want.Mode, UID: want.UID, GID: want.GID, Mask: maskForeign}
	ref := host.Ref{Kind: host.File, Path: path}
	if !want.Exists {
		c, err := step.RemoveFile{Path: path, Mask: maskForeign}.Plan(host.Facts{ref: old})
		return c.Items, err
	}
	c, err := w.Plan(host.Facts{ref: old})
	return c.Items, err
}

// after does ops once one of the files before it has changed.
type after struct {
	name string
	refs []host.Ref
	ops  []host.Op
}

func (a after) Name() string      { return a.name }
func (a after) Reads() []host.Ref { return nil }

func (a after) Plan(host.Facts) (step.Change, error) {
	var c step.Change
	for _, op := range a.ops {
		op.OnlyIf = a.refs
		c.Ops = append(c.Ops, op)
		c.Items = append(c.Items, step.Item{Target: op.Path, Action: op.Action, OnlyIf: a.refs})
	}
	return c, nil
}

// needRestart is the refusal where only a restart makes a change take effect.
func needRestart(opts Options, service, why string) ([]host.Op, error) {
	if !opts.Restart {
		return nil, fault.Fail("run it again with --restart: "+service+" is restarted then, and with it what cannot live through that",
			"%s takes effect only when %s restarts", why, service)
	}
	return []host.Op{host.RestartService(service)}, nil
}

// dirs are the steps that make folders, the outer ones first.
func (r Registry) dirs(uid, gid int, paths ...string) []step.Step {
	var all []step.Step
	for _, p := range paths {
		all = append(all, keepDir{p, 0o755, uid, gid, r.Address()})
	}
	return all
}
