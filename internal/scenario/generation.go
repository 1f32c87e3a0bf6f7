package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// A pair of certificate and key lives in a folder of its own, serve/tls/<generation>,
// and serve/tls/current is a relative symlink to the one in use. Swapping the
// link by rename changes both files at once.

func currentLink(p Place) host.Ref {
	return host.Ref{Kind: host.Link, Path: p.Dir.Join("serve", "tls", "current")}
}

func currentPair(p Place) []host.Ref {
	return []host.Ref{
		currentLink(p),
		fileRef(p.Dir.Join("serve", "tls", "current", "crt")),
		fileRef(p.Dir.Join("serve", "tls", "current", "key")),
	}
}

func currentFacts(p Place, seen host.Facts) (crt, key host.Fact) {
	pair := currentPair(p)
	return seen[pair[1]], seen[pair[2]]
}

// generation puts a new pair in place. The one it replaces stays until retired.
func generation(p Place, seen host.Facts, chain, key []byte) []host.Op {
	sum := sha256.Sum256(chain)
	name := hex.EncodeToString(sum[:6])
	folder := serveDir(p, p.Dir.Join("serve", "tls", name))
	return []host.Op{
		createOp(host.Dir, folder.Path, host.Fact{Exists: true, Mode: folder.Mode, UID: folder.UID, GID: folder.GID}),
		createOp(host.File, p.Dir.Join("serve", "tls", name, "crt"), host.Fact{Exists: true, Data: chain, Mode: 0o644, UID: p.UID, GID: p.GID}),
		createOp(host.File, p.Dir.Join("serve", "tls", name, "key"), host.Fact{Exists: true, Data: key, Mode: 0o600, UID: p.UID, GID: p.GID}),
		writeOp(currentLink(p), seen, host.Fact{Exists: true, Data: []byte(name)}),
	}
}

// retired removes the pair that was replaced, once the registry serves the new one:
// it comes after the step that waits for that, whose failure brings the old one back.
type retired struct{ place Place }

func (r retired) Name() string { return "replaced certificate" }

func (r retired) Reads() []host.Ref { return []host.Ref{currentLink(r.place)} }

func (r retired) Plan(seen host.Facts) (step.Change, error) {
	link := currentLink(r.place)
	old := string(seen[link].Data)
	if old == "" || old != filepath.Base(old) {
		return step.Change{}, nil
	}
	folder := r.place.Dir.Join("serve", "tls", old)
	ops := []host.Op{
		removeOp(host.File, filepath.Join(folder, "crt")),
		removeOp(host.File, filepath.Join(folder, "key")),
		removeOp(host.Dir, folder),
	}
	for i := range ops {
		ops[i].OnlyIf = []host.Ref{link}
	}
	return step.Change{Ops: ops}, nil
}

// served waits until the registry that runs serves the pair that was put in place.
func served(s spec.Spec, p Place) engine.ServedStep {
	return engine.ServedStep{Endpoint: ownEndpoint(s), Path: p.Dir.Join("serve", "tls", "current", "crt"), After: []host.Ref{currentLink(p)}}
}

// pairInUse are the steps that end a change of the pair.
func pairInUse(s spec.Spec, p Place) []step.Step {
	if len(p.Runtime) == 0 || s.Swarmed() { // what waits for a service's tasks asks each of them
		return []step.Step{retired{p}}
	}
	return []step.Step{served(s, p), retired{p}}
}

func fileRef(path string) host.Ref { return host.Ref{Kind: host.File, Path: path} }

// writeOp makes ref as want, provided that it still is as seen.
func writeOp(ref host.Ref, seen host.Facts, want host.Fact) host.Op {
	return host.Op{Ref: ref, Action: action(seen[ref]), Want: want, Before: seen[ref].Hash()}
}

// createOp makes a thing whose name is its content's hash, so that whatever is
// there already is the same thing or the rest of an interrupted run.
func createOp(kind host.Kind, path string, want host.Fact) host.Op {
	return host.Op{Ref: host.Ref{Kind: kind, Path: path}, Action: host.Create, Want: want, Before: host.AnyBefore}
}

func removeOp(kind host.Kind, path string) host.Op {
	return host.Op{Ref: host.Ref{Kind: kind, Path: path}, Action: host.Remove, Before: host.AnyBefore}
}

func action(was host.Fact) host.Action {
	if was.Exists {
		return host.Change
	}
	return host.Create
}
