package step

import (
	"fmt"
	"io/fs"

	"github.com/regctl/regctl/internal/host"
)

// WriteFile keeps a file that is wholly ours.
type WriteFile struct {
	Path     string
	Data     []byte
	Mode     fs.FileMode
	UID, GID int
	// Secret content is shown as its length. Mask instead shows it with the
	// secret parts replaced; it must be pure.
	Secret bool
	Mask   func([]byte) []byte
}

func (w WriteFile) ref() host.Ref { return host.Ref{Kind: host.File, Path: w.Path} }

// Name implements Step.
func (w WriteFile) Name() string { return w.Path }

// Reads implements Step.
func (w WriteFile) Reads() []host.Ref { return []host.Ref{w.ref()} }

// Plan implements Step.
func (w WriteFile) Plan(seen host.Facts) (Change, error) {
	want := host.Fact{Exists: true, Data: w.Data, Mode: w.Mode.Perm(), UID: w.UID, GID: w.GID}
	return one(w.ref(), seen, want, func(old host.Fact) string { return w.diff(old, want) })
}

// RemoveFile keeps a file of ours away.
type RemoveFile struct {
	Path   string
	Secret bool
	Mask   func([]byte) []byte
}

func (r RemoveFile) ref() host.Ref { return host.Ref{Kind: host.File, Path: r.Path} }

// Name implements Step.
func (r RemoveFile) Name() string { return r.Path }

// Reads implements Step.
func (r RemoveFile) Reads() []host.Ref { return []host.Ref{r.ref()} }

// Plan implements Step.
func (r RemoveFile) Plan(seen host.Facts) (Change, error) {
	w := WriteFile{Path: r.Path, Secret: r.Secret, Mask: r.Mask}
	return one(r.ref(), seen, host.Fact{}, func(old host.Fact) string { return w.diff(old, host.Fact{}) })
}

// MakeDir keeps a directory, one level deep: its parent is another step's.
type MakeDir struct {
	Path     string
	Mode     fs.FileMode
	UID, GID int
}

func (m MakeDir) ref() host.Ref { return host.Ref{Kind: host.Dir, Path: m.Path} }

// Name implements Step.
func (m MakeDir) Name() string { return m.Path }

// Reads implements Step.
func (m MakeDir) Reads() []host.Ref { return []host.Ref{m.ref()} }

// Plan implements Step.
func (m MakeDir) Plan(seen host.Facts) (Change, error) {
	want := host.Fact{Exists: true, Mode: m.Mode.Perm(), UID: m.UID, GID: m.GID}
	return one(m.ref(), seen, want, func(old host.Fact) string {
		if !old.Exists {
			return fmt.Sprintf("(directory, mode %04o)\n", want.Mode)
		}
		return dressDiff(old, want)
	})
}

// MakeLink keeps a symlink that is ours.
type MakeLink struct {
	Path   string
	Target string // as it stands in the link: relative to its directory, or absolute
}

func (m MakeLink) ref() host.Ref { return host.Ref{Kind: host.Link, Path: m.Path} }

// Name implements Step.
func (m MakeLink) Name() string { return m.Path }

// Reads implements Step.
func (m MakeLink) Reads() []host.Ref { return []host.Ref{m.ref()} }

// Plan implements Step.
func (m MakeLink) Plan(seen host.Facts) (Change, error) {
	want := host.Fact{Exists: true, Data: []byte(m.Target)}
	return one(m.ref(), seen, want, func(old host.Fact) string {
		if !old.Exists {
			return fmt.Sprintf("(link to %s)\n", m.Target)
		}
		return fmt.Sprintf("(link to %s, was %s)\n", m.Target, old.Data)
	})
}

// one plans the change of a single thing to what it should be.
func one(ref host.Ref, seen host.Facts, want host.Fact, diff func(old host.Fact) string) (Change, error) {
	old := seen[ref]
	if old.Foreign != "" {
		return Change{}, &host.ForeignError{Ref: ref, What: old.Foreign}
	}
	if old.Hash() == want.Hash() {
		return Change{}, nil
	}
	action := host.Change
	switch {
	case !want.Exists:
		action = host.Remove
	case !old.Exists:
		action = host.Create
	}
	return Change{
		Items: []Item{{Target: ref.Path, Action: action, Diff: diff(old)}},
		Ops:   []host.Op{{Ref: ref, Action: action, Want: want, Before: old.Hash()}},
	}, nil
}
