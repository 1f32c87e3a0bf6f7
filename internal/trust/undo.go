package trust

import (
	"path"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// Undo says what takes back all that regctl did on a client for some registries, by
// the addresses that PartOf gives. entries are all that the client has recorded.
// Folders go with the last placement, the inner ones first, and with them those that
// another registry of ours made, when it has left before. Folders that are still
// needed stay, and so does what somebody else has changed.
//
// Where only a restart takes a thing back and opts do not allow one, the placement
// says so as Pending: the files are brought back all the same.
func Undo(c Client, entries []host.Entry, registries []string, opts Options) ([]Placement, error) {
	u := undoing{client: c, opts: opts, entries: entries, registries: registries, taken: map[host.Ref][]string{}}
	for _, store := range undoOrder() {
		for _, e := range slices.Backward(entries) {
			if _, of := PartOf(e.Part); of == store && u.goes(e) {
				if err := u.take(store, e); err != nil {
					return nil, err
				}
			}
		}
	}
	u.tellOS()
	u.restart()
	u.dirs()
	return u.placed, nil
}

// undoOrder is that in which stores are set up, with those at the end for which a
// restart may be needed.
func undoOrder() []Store {
	return []Store{LoginStore, MapHost, Docker, Rootless, Podman, Insecure, Mirror, Containerd, K3s, BuildKit, OS, Legacy}
}

// undoing is an Undo under way.
type undoing struct {
	client     Client
	opts       Options
	entries    []host.Entry
	registries []string
	placed     []Placement
	taken      map[host.Ref][]string // the parts that go, as far as they are planned
	tell       []service
}

func (u *undoing) goes(e host.Entry) bool {
	registry, _ := PartOf(e.Part)
	return slices.Contains(u.registries, registry)
}

func refOf(e host.Entry) host.Ref { return host.Ref{Kind: e.Kind, Path: e.Path} }

// service is something to be restarted after a change of refs.
type service struct {
	name string
	refs []host.Ref
}

// at is the placement for a store, made when it is needed.
func (u *undoing) at(s Store, path string) *Placement {
	i := slices.IndexFunc(u.placed, func(p Placement) bool { return p.Store == s })
	if i < 0 {
		i = len(u.placed)
		u.placed = append(u.placed, Placement{Store: s, Path: path, Effect: Now})
	}
	return &u.placed[i]
}

// take adds what takes one entry back.
func (u *undoing) take(s Store, e host.Entry) error {
	ref := refOf(e)
	prior := u.taken[ref]
	if slices.Contains(prior, e.Part) {
		return nil // noted twice
	}
	u.taken[ref] = append(prior, e.Part)
	p := u.at(s, e.Path)
	if e.Kind == host.Credential {
		forget := forgetLogin{ref, e.Part}
		p.Path, p.Steps = forget.Name(), append(p.Steps, forget)
		return nil
	}
	if e.Kind == host.File {
		p.Steps = append(p.Steps, drop{ref: ref, part: e.Part})
		u.file(p, e.Path)
		return nil
	}
	editor, err := FromPart(e.Part)
	if err != nil {
		return named(e.Path, err)
	}
	p.Steps = append(p.Steps, leave{path: e.Path, part: e.Part, prior: slices.Clone(prior), client: u.client})
	if _, ok := editor.(whole); ok {
		u.file(p, e.Path)
		return nil
	}
	p.Path = e.Path
	u.edit(p, editor, ref)
	return nil
}

// file says when the end of a file of ours takes effect.
func (u *undoing) file(p *Placement, file string) {
	switch {
	case p.Store == OS && u.client.DockerdPID > 0:
		p.Pending = "restart dockerd"
	case strings.HasSuffix(path.Dir(file), "/registries.conf.d") && u.client.runs("crio"):
		p.Pending = "reload crio"
	}
}

// tellOS has the OS make its bundle anew when anchors have gone.
func (u *undoing) tellOS() {
	dir, update, err := u.client.anchors()
	if err != nil {
		return // then nothing was placed there
	}
	var refs []host.Ref
	for _, e := range u.entries {
		if path.Dir(e.Path) == dir && len(u.taken[refOf(e)]) > 0 && !slices.Contains(refs, refOf(e)) {
			refs = append(refs, refOf(e))
		}
	}
	if len(refs) > 0 {
		p := u.at(OS, refs[0].Path)
		p.Steps = append(p.Steps, after{name: update.Path, refs: refs, ops: []host.Op{update}})
	}
}

// dirs takes away the folders that we made, unless something of ours stays in them.
func (u *undoing) dirs() {
	parts := map[string]string{}
	for _, e := range u.entries {
		if e.Kind == host.Dir && (u.goes(e) || u.leaves(e.Path)) && !u.stays(e.Path) {
			parts[e.Path] = e.Part
		}
	}
	var paths []string
	for dir := range parts {
		paths = append(paths, dir)
	}
	// A longer path is never an outer folder of a shorter one.
	slices.SortFunc(paths, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for _, dir := range paths {
		if len(u.placed) == 0 {
			u.placed = []Placement{{Path: dir, Effect: Now}}
		}
		last := &u.placed[len(u.placed)-1]
		last.Steps = append(last.Steps, drop{host.Ref{Kind: host.Dir, Path: dir}, parts[dir]})
	}
}

// leaves reports whether something of ours goes from a folder, stays whether
// something does not.
func (u *undoing) leaves(dir string) bool {
	return slices.ContainsFunc(u.entries, func(e host.Entry) bool { return u.goes(e) && below(e.Path, dir) })
}

func (u *undoing) stays(dir string) bool {
	return slices.ContainsFunc(u.entries, func(e host.Entry) bool {
		return e.Kind != host.Dir && !u.goes(e) && below(e.Path, dir)
	})
}

func below(p, dir string) bool { return strings.HasPrefix(p, dir+"/") }
