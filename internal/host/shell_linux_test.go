package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

func newShell(t *testing.T) *host.Shell {
	t.Helper()
	s := host.NewShell(t.TempDir() + "/undo")
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestContractInAShell(t *testing.T) {
	contract(t, func(t *testing.T) host.Host { return newShell(t) })
}

// Red Hat's sh is bash, Alpine's is busybox's, and so are its tools.
func TestContractInOtherShells(t *testing.T) {
	testenv.Need(t, "bash", "busybox")
	for _, name := range []string{"bash", "busybox"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name == "busybox" {
				out, err := exec.Command("busybox", "--install", "-s", dir).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				must(t, os.RemoveAll(filepath.Join(dir, "sh")))
			}
			path, err := exec.LookPath(name)
			must(t, err)
			must(t, os.Symlink(path, filepath.Join(dir, "sh")))
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			h := newShell(t)
			machine := func() host.Machine {
				facts, err := h.Look(t.Context(), []host.Ref{host.MachineRef()})
				must(t, err)
				return host.ParseMachine(facts[host.MachineRef()])
			}
			if m := machine(); m.UID != os.Geteuid() || m.OS == "" || m.Arch == "" || m.LoginHome == "" || m.Tools["openssl"] == "" {
				t.Errorf("%+v", m)
			}
			contract(t, func(*testing.T) host.Host { return h })
			ledgerContract(t, func(*testing.T) host.Host { return h })
		})
	}
}

func TestContractOfEditsOnALocalHost(t *testing.T) {
	editContract(t, func(t *testing.T) host.Host {
		l := host.NewLocal(nil)
		l.UndoDir = t.TempDir() + "/undo"
		return l
	})
}

// What is asked for again in one look is sent once, whatever lies between.
func TestLookAtTheSameFileTwice(t *testing.T) {
	h, root := newShell(t), t.TempDir()
	path := filepath.Join(root, "f")
	put(t, path, "content\n", 0o644)
	put(t, filepath.Join(root, "empty"), "", 0o644)
	for _, between := range [][]host.Ref{
		nil,
		{{Kind: host.Dir, Path: root}},
		{{Kind: host.File, Path: path + "x"}},
		{{Kind: host.File, Path: filepath.Join(root, "empty")}},
		{{Kind: host.File, Path: root}},
		{host.MachineRef()},
	} {
		edit := host.Ref{Kind: host.Edit, Path: path}
		refs := append(append([]host.Ref{{Kind: host.Source, Path: path}}, between...), edit, host.Ref{Kind: host.File, Path: path})
		facts, err := h.Look(t.Context(), refs)
		must(t, err)
		for _, ref := range []host.Ref{refs[0], edit, refs[len(refs)-1]} {
			if got := string(facts[ref].Data); got != "content\n" {
				t.Errorf("%v after %v: %q", ref, between, got)
			}
		}
	}
}
