package trust

import (
	"slices"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Undo gives the steps that take back what regctl did on a client, by the receipts
// of that: paths, parts and hashes are enough. Files of ours that somebody else has
// changed since stay, and so do directories that hold something.
func Undo(c Client, receipts []host.Receipt) []step.Step {
	var steps []step.Step
	var anchors []host.Ref
	edits := map[string][]string{}
	for _, r := range slices.Backward(receipts) {
		if !r.Changed {
			continue
		}
		switch r.Kind {
		case host.Edit:
			if parts := edits[r.Path]; !slices.Contains(parts, r.Part) {
				edits[r.Path] = append(parts, r.Part)
				steps = append(steps, leave{path: r.Path, part: r.Part, prior: slices.Clone(parts), client: c})
			}
		case host.File, host.Dir:
			if !r.Before.Exists {
				steps = append(steps, drop{ref: r.Ref, after: r.After})
			}
		}
		anchors = append(anchors, r.Ref)
	}
	if dir, update, err := c.anchors(); err == nil {
		refs := slices.DeleteFunc(anchors, func(ref host.Ref) bool {
			return ref.Kind == host.Dir || len(ref.Path) <= len(dir) || ref.Path[:len(dir)+1] != dir+"/"
		})
		if len(refs) > 0 {
			steps = append(steps, after{name: update.Path, refs: refs, ops: []host.Op{update}})
		}
	}
	return steps
}

// drop removes what we made, if it is as we left it.
type drop struct {
	ref   host.Ref
	after string // its hash then
}

func (d drop) Name() string      { return d.ref.Path }
func (d drop) Reads() []host.Ref { return []host.Ref{d.ref} }

func (d drop) Plan(seen host.Facts) (step.Change, error) {
	old := seen[d.ref]
	if !old.Exists || old.Foreign != "" || d.ref.Kind == host.File && d.after != "" && old.Hash() != d.after {
		return step.Change{}, nil
	}
	if d.ref.Kind == host.File {
		return step.RemoveFile{Path: d.ref.Path}.Plan(seen)
	}
	return step.Change{
		Items: []step.Item{{Target: d.ref.Path, Action: host.Remove, Diff: "(directory, if it is empty)\n"}},
		Ops:   []host.Op{{Ref: d.ref, Action: host.Remove, Before: host.AnyBefore}},
	}, nil
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
