package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"github.com/regctl/regctl/internal/host"
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

// generation puts a new pair in place and removes the one it replaces.
func generation(p Place, seen host.Facts, chain, key []byte) []host.Op {
	sum := sha256.Sum256(chain)
	name := hex.EncodeToString(sum[:6])
	folder := serveDir(p, p.Dir.Join("serve", "tls", name))
	ops := []host.Op{
		createOp(host.Dir, folder.Path, host.Fact{Exists: true, Mode: folder.Mode, UID: folder.UID, GID: folder.GID}),
		createOp(host.File, p.Dir.Join("serve", "tls", name, "crt"), host.Fact{Exists: true, Data: chain, Mode: 0o644, UID: p.UID, GID: p.GID}),
		createOp(host.File, p.Dir.Join("serve", "tls", name, "key"), host.Fact{Exists: true, Data: key, Mode: 0o600, UID: p.UID, GID: p.GID}),
		writeOp(currentLink(p), seen, host.Fact{Exists: true, Data: []byte(name)}),
	}
	old := string(seen[currentLink(p)].Data)
	if old == "" || old == name || old != filepath.Base(old) {
		return ops
	}
	return append(ops,
		removeOp(host.File, p.Dir.Join("serve", "tls", old, "crt")),
		removeOp(host.File, p.Dir.Join("serve", "tls", old, "key")),
		removeOp(host.Dir, p.Dir.Join("serve", "tls", old)))
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
