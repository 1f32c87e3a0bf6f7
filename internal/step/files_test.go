package step_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

func newLocal(*testing.T) host.Host { return host.NewLocal(nil) }

// generated makes a value at apply time and remembers it as a file.
type generated struct{ path string }

func (g generated) ref() host.Ref { return host.Ref{Kind: host.File, Path: g.path} }

func (g generated) Name() string      { return "generated" }
func (g generated) Reads() []host.Ref { return []host.Ref{g.ref()} }

func (g generated) Plan(seen host.Facts) (step.Change, error) {
	if seen[g.ref()].Exists {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: g.path, Action: host.Create, Diff: "(new 32-byte secret)"}},
		Make: func(context.Context) ([]host.Op, error) {
			data := make([]byte, 32)
			_, err := rand.Read(data)
			want := host.Fact{Exists: true, Data: data, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
			return []host.Op{{Ref: g.ref(), Action: host.Create, Want: want, Before: seen[g.ref()].Hash()}}, err
		},
	}, nil
}

func TestFileSteps(t *testing.T) {
	uid, gid := os.Geteuid(), os.Getegid()
	write := func(path, data string, mode os.FileMode) step.WriteFile {
		return step.WriteFile{Path: path, Data: []byte(data), Mode: mode, UID: uid, GID: gid}
	}
	steptest.Run(t, newLocal,
		steptest.Case{
			Name: "a tree where nothing was",
			Steps: func(_ *testing.T, _ host.Host, root string) []step.Step {
				return []step.Step{
					step.MakeDir{Path: filepath.Join(root, "serve"), Mode: 0o750, UID: uid, GID: gid},
					step.MakeDir{Path: filepath.Join(root, "serve", "tls"), Mode: 0o700, UID: uid, GID: gid},
					write(filepath.Join(root, "serve", "config.yml"), "version: 0.1\n", 0o600),
					generated{filepath.Join(root, "serve", "secret")},
					step.MakeLink{Path: filepath.Join(root, "config.yml"), Target: "serve/config.yml"},
				}
			},
			Meddle: func(t *testing.T, root string) {
				mustDo(t, os.Mkdir(filepath.Join(root, "serve"), 0o755))
			},
		},
		steptest.Case{
			Name: "what was there before",
			Steps: func(t *testing.T, _ host.Host, root string) []step.Step {
				file(t, filepath.Join(root, "hosts"), "127.0.0.1 localhost\r\n", 0o644)
				file(t, filepath.Join(root, "old"), "", 0o640)
				file(t, filepath.Join(root, "same"), "as it is\n", 0o600)
				file(t, filepath.Join(root, "mode"), "mode alone\n", 0o644)
				mustDo(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
				mustDo(t, os.Symlink("old", filepath.Join(root, "link")))
				return []step.Step{
					write(filepath.Join(root, "hosts"), "nothing\n", 0o600),
					step.RemoveFile{Path: filepath.Join(root, "old")},
					write(filepath.Join(root, "same"), "as it is\n", 0o600),
					write(filepath.Join(root, "mode"), "mode alone\n", 0o600),
					step.MakeDir{Path: filepath.Join(root, "dir"), Mode: 0o700, UID: uid, GID: gid},
					step.MakeLink{Path: filepath.Join(root, "link"), Target: "hosts"},
				}
			},
			Meddle: func(t *testing.T, root string) {
				file(t, filepath.Join(root, "old"), "somebody wrote this\n", 0o640)
			},
		},
	)
}

func TestOwnersComeBack(t *testing.T) {
	testenv.Need(t, "root")
	steptest.Run(t, newLocal, steptest.Case{
		Name: "owners",
		Steps: func(t *testing.T, _ host.Host, root string) []step.Step {
			file(t, filepath.Join(root, "f"), "one\n", 0o640)
			mustDo(t, os.Chown(filepath.Join(root, "f"), 1234, 2345))
			mustDo(t, os.Mkdir(filepath.Join(root, "d"), 0o750))
			mustDo(t, os.Chmod(filepath.Join(root, "d"), 0o750|os.ModeSetgid))
			return []step.Step{
				step.WriteFile{Path: filepath.Join(root, "f"), Data: []byte("two\n"), Mode: 0o600, UID: 65532, GID: 65532},
				step.MakeDir{Path: filepath.Join(root, "d"), Mode: 0o700, UID: 65532, GID: 65532},
				step.WriteFile{Path: filepath.Join(root, "new"), Data: []byte("new\n"), Mode: 0o600, UID: 65532, GID: 1},
			}
		},
		Meddle: func(t *testing.T, root string) {
			mustDo(t, os.Chown(filepath.Join(root, "f"), 0, 0))
		},
	})
}

func file(t *testing.T, path, data string, mode os.FileMode) {
	t.Helper()
	mustDo(t, os.WriteFile(path, []byte(data), mode))
	mustDo(t, os.Chmod(path, mode))
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDiffs(t *testing.T) {
	ref := host.Ref{Kind: host.File, Path: "/d/f"}
	old := host.Fact{Exists: true, Data: []byte("a: 1\nkey: topsecret\n"), Mode: 0o644}
	mask := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("topsecret"), []byte("***")) }
	tests := []struct {
		name string
		seen host.Fact
		step step.WriteFile
		want string
	}{
		{
			"new",
			host.Fact{},
			step.WriteFile{Data: []byte("a: 1\n"), Mode: 0o600},
			"--- /dev/null\n+++ /d/f\n@@ -0,0 +1 @@\n+a: 1\n",
		},
		{
			"changed",
			host.Fact{Exists: true, Data: []byte("a: 1\n"), Mode: 0o600},
			step.WriteFile{Data: []byte("a: 2\n"), Mode: 0o600},
			"--- /d/f\n+++ /d/f\n@@ -1 +1 @@\n-a: 1\n+a: 2\n",
		},
		{
			"mode and owner alone", old,
			step.WriteFile{Data: old.Data, Mode: 0o600, UID: 65532, GID: 1},
			"mode 0644 -> 0600\nowner 0:0 -> 65532:1\n",
		},
		{
			"new secret",
			host.Fact{},
			step.WriteFile{Data: make([]byte, 44), Mode: 0o600, Secret: true},
			"(secret, 44 bytes)\n",
		},
		{
			"secret",
			host.Fact{Exists: true, Data: []byte("x"), Mode: 0o600},
			step.WriteFile{Data: make([]byte, 44), Mode: 0o600, Secret: true},
			"(secret, 44 bytes, was 1)\n",
		},
		{
			"masked", old,
			step.WriteFile{Data: []byte("a: 2\nkey: topsecret\n"), Mode: 0o644, Mask: mask},
			"--- /d/f\n+++ /d/f\n@@ -1,2 +1,2 @@\n-a: 1\n+a: 2\n key: ***\n",
		},
		{
			"only what is masked", old,
			step.WriteFile{Data: []byte("a: 1\nkey: ***\n"), Mode: 0o644, Mask: mask},
			"(a masked value differs)\n",
		},
		{
			"binary",
			host.Fact{},
			step.WriteFile{Data: []byte{0xff, 0xfe}, Mode: 0o644},
			"(binary, 2 bytes)\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.step.Path = ref.Path
			change, err := tt.step.Plan(host.Facts{ref: tt.seen})
			if err != nil || len(change.Items) != 1 {
				t.Fatalf("plan: %+v, %v", change.Items, err)
			}
			if got := change.Items[0].Diff; got != tt.want {
				t.Errorf("diff is\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}
