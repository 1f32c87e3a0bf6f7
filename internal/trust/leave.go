package trust

import (
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// drop takes away a file or a folder that the client's ledger has as ours. What
// somebody else has changed since stays, and so does a folder that holds something.
type drop struct {
	ref  host.Ref
	part string
}

func (d drop) Name() string      { return d.ref.Path }
func (d drop) Reads() []host.Ref { return []host.Ref{d.ref} }

func (d drop) Plan(seen host.Facts) (step.Change, error) {
	old := seen[d.ref]
	if d.ref.Kind == host.Dir && old.Edit == nil || d.ref.Kind == host.File && !old.Edit.Has(d.part) {
		return step.Change{}, nil
	}
	// The op is carried out for the ledger's sake, even if nothing is there.
	op := host.Op{Ref: d.ref, Action: host.Remove, Before: old.Hash(), Part: d.part}
	if d.ref.Kind == host.Dir {
		op.Before = host.AnyBefore
	}
	c := step.Change{Ops: []host.Op{op}}
	if !old.Exists || old.Foreign != "" || old.Edit.Others {
		return c, nil
	}
	if d.ref.Kind == host.Dir {
		c.Items = []step.Item{{Target: d.ref.Path, Action: host.Remove, Diff: "(directory, if it is empty)\n"}}
		return c, nil
	}
	shown, err := step.RemoveFile{Path: d.ref.Path}.Plan(seen)
	c.Items = shown.Items
	return c, err
}

// leave takes a part of ours out of somebody else's file.
type leave struct {
	path, part string
	prior      []string // parts that the same plan takes out first
	client     Client
}

func (l leave) ref() host.Ref     { return host.Ref{Kind: host.Edit, Path: l.path} }
func (l leave) Name() string      { return l.path }
func (l leave) Reads() []host.Ref { return []host.Ref{l.ref()} }

func (l leave) Plan(seen host.Facts) (step.Change, error) {
	old := seen[l.ref()]
	if old.Foreign != "" {
		return step.Change{}, &host.ForeignError{Ref: l.ref(), What: old.Foreign}
	}
	if !old.Edit.Has(l.part) {
		return step.Change{}, nil
	}
	for _, part := range l.prior {
		if !old.Edit.Has(part) {
			continue
		}
		var err error
		if old, _, err = l.without(old, part); err != nil {
			return step.Change{}, err
		}
	}
	want, editor, err := l.without(old, l.part)
	if err != nil {
		return step.Change{}, err
	}
	want.Edit = nil
	items, err := diff(l.path, old, want)
	if err != nil {
		return step.Change{}, err
	}
	c := step.Change{Items: items}
	remove := host.Op{Ref: l.ref(), Action: host.Remove, Want: want, Before: old.Hash(), Part: l.part}
	if entry, ok := editor.(DaemonJSON); ok {
		return l.leaveDaemon(c, entry, old, remove), nil
	}
	c.Ops = []host.Op{remove}
	return c, nil
}

// without is the file when a part has gone: no file, if there was none before us
// and nothing is in it.
func (l leave) without(old host.Fact, part string) (host.Fact, Editor, error) {
	editor, err := FromPart(part)
	if err != nil {
		return old, nil, named(l.path, err)
	}
	want := old
	if want.Data, err = editor.Remove(old.Data); err != nil {
		return old, nil, named(l.path, err)
	}
	if len(want.Data) == 0 && (len(old.Data) > 0 || !old.Exists) && old.Edit.Original == "" {
		want = host.Fact{Edit: old.Edit}
	}
	return want, editor, nil
}

// leaveDaemon has a running dockerd forget the entry. It keeps what it has when the
// key is gone, so the list is emptied first, and reloaded, and then the file is
// brought back. No SIGHUP goes to one that would forget other registries on it.
func (l leave) leaveDaemon(c step.Change, entry DaemonJSON, old host.Fact, remove host.Op) step.Change {
	emptied, ok := entry.Emptied(old.Data)
	now := remove.Want.Data
	if ok {
		now = emptied
	}
	if l.client.DockerdPID == 0 || l.client.daemonJSON() != l.path || l.client.reloadLoses() && both(now) {
		c.Ops = []host.Op{remove}
		return c
	}
	if !ok {
		c.Ops = []host.Op{remove}
		return following(c, l.ref(), []host.Op{host.ReloadDockerd()})
	}
	between := old
	between.Edit, between.Data = nil, emptied
	c.Ops = []host.Op{{Ref: l.ref(), Action: host.Change, Want: between, Before: old.Hash(), Part: l.part}}
	ops := []host.Op{host.ReloadDockerd()}
	if l.client.has("docker", "curl") {
		shown := quote(entry.Entry)
		if entry.List == RegistryMirrors {
			shown = quote(entry.Entry + "/")
		}
		ops = append(ops, host.DockerInfoLacks(shown))
	}
	c = following(c, l.ref(), ops)
	remove.Before = between.Hash()
	c.Ops = append(c.Ops, remove)
	return c
}
