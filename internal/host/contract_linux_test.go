package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
)

// odd is what a path or a text may hold that a shell would stumble over.
const odd = "a 'b' \"c\" $(d) `e` \\ f*\n-n é;"

// contract is what every host keeps, with real files under t.TempDir.
func contract(t *testing.T, newHost func(*testing.T) host.Host) {
	uid, gid := os.Geteuid(), os.Getegid()
	write := func(path, data string, mode os.FileMode) step.WriteFile {
		return step.WriteFile{Path: path, Data: []byte(data), Mode: mode, UID: uid, GID: gid}
	}
	steptest.Run(t, newHost,
		steptest.Case{
			Name: "a tree where nothing was",
			Steps: func(_ *testing.T, _ host.Host, root string) []step.Step {
				return []step.Step{
					step.MakeDir{Path: filepath.Join(root, odd), Mode: 0o750, UID: uid, GID: gid},
					step.MakeDir{Path: filepath.Join(root, odd, "tls"), Mode: 0o2700, UID: uid, GID: gid},
					write(filepath.Join(root, odd, "ca.crt"), odd, 0o644),
					write(filepath.Join(root, odd, "empty"), "", 0o755),
					write(filepath.Join(root, odd, "long"), strings.Repeat("\x00\n\xffx", 5000), 0o600),
					step.MakeLink{Path: filepath.Join(root, "link"), Target: odd},
				}
			},
			Meddle: func(t *testing.T, root string) { must(t, os.Mkdir(filepath.Join(root, odd), 0o755)) },
		},
		steptest.Case{
			Name: "what was there before",
			Steps: func(t *testing.T, _ host.Host, root string) []step.Step {
				put(t, filepath.Join(root, "hosts"), "127.0.0.1 localhost\r\n", 0o644)
				put(t, filepath.Join(root, "old"), "", 0o640)
				put(t, filepath.Join(root, "mode"), "mode alone\n", 0o644)
				must(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
				must(t, os.Symlink("dir", filepath.Join(root, "link")))
				steps := []step.Step{
					write(filepath.Join(root, "hosts"), "nothing\n", 0o600),
					step.RemoveFile{Path: filepath.Join(root, "old")},
					write(filepath.Join(root, "mode"), "mode alone\n", 0o600),
					step.MakeLink{Path: filepath.Join(root, "link"), Target: "hosts"},
				}
				if uid == 0 {
					steps = append(steps,
						step.MakeDir{Path: filepath.Join(root, "dir"), Mode: 0o700, UID: 65532, GID: 65532},
						step.WriteFile{Path: filepath.Join(root, "theirs"), Data: []byte("x"), Mode: 0o4, UID: 65532, GID: 1})
				}
				return steps
			},
			Meddle: func(t *testing.T, root string) { put(t, filepath.Join(root, "old"), "somebody wrote this\n", 0o640) },
		})
	editContract(t, newHost)
}

func editContract(t *testing.T, newHost func(*testing.T) host.Host) {
	steptest.Run(t, newHost,
		steptest.Case{
			Name: "edits",
			Steps: func(t *testing.T, _ host.Host, root string) []step.Step {
				put(t, filepath.Join(root, "daemon.json"), "{\r\n}", 0o640)
				put(t, filepath.Join(root, "pointed at"), "here", 0o604)
				must(t, os.Symlink("pointed at", filepath.Join(root, "link")))
				must(t, os.Symlink("not yet", filepath.Join(root, "dangling")))
				return []step.Step{
					edited{filepath.Join(root, "daemon.json"), "one"},
					edited{filepath.Join(root, "link"), "one"},
					edited{filepath.Join(root, "dangling"), "one"},
					edited{filepath.Join(root, "new"), "one"},
				}
			},
			Meddle: func(t *testing.T, root string) { put(t, filepath.Join(root, "link"), "changed", 0o604) },
		},
		steptest.Case{
			Name: "a second part, and a change of it",
			Steps: func(t *testing.T, h host.Host, root string) []step.Step {
				path := filepath.Join(root, "daemon.json")
				put(t, path, "{}", 0o600)
				carryOut(t, h, edited{path, "one"})
				return []step.Step{edited{path, "two"}}
			},
		})
}

// edited keeps "+part" in a file.
type edited struct{ path, part string }

func (e edited) ref() host.Ref     { return host.Ref{Kind: host.Edit, Path: e.path} }
func (e edited) Name() string      { return e.path }
func (e edited) Reads() []host.Ref { return []host.Ref{e.ref()} }

func (e edited) Plan(seen host.Facts) (step.Change, error) {
	old := seen[e.ref()]
	if old.Edit.Has(e.part) && strings.Contains(string(old.Data), "+"+e.part) {
		return step.Change{}, nil
	}
	want := old
	want.Edit = nil
	want.Data = append(append([]byte{}, old.Data...), "+"+e.part...)
	action := host.Change
	if !old.Exists {
		action = host.Create
		want = host.Fact{Exists: true, Data: want.Data, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}
	}
	return e.change(action, want, old), nil
}

func (e edited) change(action host.Action, want, old host.Fact) step.Change {
	return step.Change{
		Items: []step.Item{{Target: e.path, Action: action}},
		Ops:   []host.Op{{Ref: e.ref(), Action: action, Want: want, Before: old.Hash(), Part: e.part}},
	}
}

// left takes "+part" out of a file again.
type left struct{ edited }

func (l left) Plan(seen host.Facts) (step.Change, error) {
	old := seen[l.ref()]
	if !old.Edit.Has(l.part) {
		return step.Change{}, nil
	}
	want := old
	want.Edit = nil
	want.Data = []byte(strings.Replace(string(old.Data), "+"+l.part, "", 1))
	return l.change(host.Remove, want, old), nil
}

func carryOut(t *testing.T, h host.Host, steps ...step.Step) []host.Receipt {
	t.Helper()
	planned, err := step.Plan(t.Context(), h, steps)
	must(t, err)
	receipts, err := step.Run(t.Context(), h, planned, noJournal{})
	must(t, err)
	return receipts
}

type noJournal struct{}

func (noJournal) Begin([]host.Op, host.Facts) error { return nil }
func (noJournal) Commit([]host.Receipt) error       { return nil }

func put(t *testing.T, path, data string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(data), mode))
	must(t, os.Chmod(path, mode))
}
