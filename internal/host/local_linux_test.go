package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

// mount attaches a file system for the length of the test.
func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	must(t, syscall.Mount(source, target, fstype, flags, data))
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestDiskFull(t *testing.T) {
	testenv.Need(t, "root")
	root := t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", 0, "size=64k")
	path := filepath.Join(root, "f")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	l := host.NewLocal(nil)
	receipts, err := l.Do(t.Context(), []host.Op{file(path, strings.Repeat("x", 1<<20))})
	if err == nil || err.Error() != "write "+path+": no space left on device" || fault.Hint(err) == "" || len(receipts) > 0 {
		t.Errorf("%v, hint %q, %d receipts", err, fault.Hint(err), len(receipts))
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if got := names(t, root); string(data) != "old" || len(got) != 1 {
		t.Errorf("f is %q, and there is %q", data, got)
	}
}

func TestReadOnly(t *testing.T) {
	testenv.Need(t, "root")
	root := t.TempDir()
	mount(t, "tmpfs", root, "tmpfs", syscall.MS_RDONLY, "")
	for _, op := range []host.Op{file(filepath.Join(root, "f"), "x"), dir(filepath.Join(root, "d")), link(filepath.Join(root, "l"), "x")} {
		_, err := host.NewLocal(nil).Do(t.Context(), []host.Op{op})
		if err == nil || !strings.HasSuffix(err.Error(), op.Path+": read-only file system") || fault.Hint(err) == "" {
			t.Errorf("%v, hint %q", err, fault.Hint(err))
		}
	}
}

// A file that is a mount point, as in a container, cannot be renamed over.
func TestMountPoint(t *testing.T) {
	testenv.Need(t, "root")
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	must(t, os.WriteFile(at("source"), []byte("longer than the new one"), 0o644))
	must(t, os.WriteFile(at("f"), nil, 0o600))
	mount(t, at("source"), at("f"), "", syscall.MS_BIND, "")
	receipts, err := host.NewLocal(nil).Do(t.Context(), []host.Op{file(at("f"), "new")})
	must(t, err)
	data, err := os.ReadFile(at("source"))
	must(t, err)
	info, err := os.Stat(at("source"))
	must(t, err)
	if string(data) != "new" || info.Mode().Perm() != 0o600 || !receipts[0].Changed || len(names(t, root)) != 2 {
		t.Errorf("%q, mode %o, %+v, %q", data, info.Mode(), receipts, names(t, root))
	}
}

// A special bit of a directory is not ours to take away.
func TestSetgidStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	must(t, os.Mkdir(path, 0o755))
	must(t, os.Chmod(path, 0o755|os.ModeSetgid))
	_, err := host.NewLocal(nil).Do(t.Context(), []host.Op{dir(path)})
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != os.ModeDir|os.ModeSetgid|0o700 {
		t.Errorf("mode is %s", info.Mode())
	}
}

// A pipe where a file should be must not make us wait for its writer.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	must(t, syscall.Mkfifo(path, 0o600))
	ref := host.Ref{Kind: host.File, Path: path}
	facts, err := host.NewLocal(nil).Look(t.Context(), []host.Ref{ref})
	if err != nil || facts[ref].Foreign != "a pipe" {
		t.Errorf("%+v, %v", facts[ref], err)
	}
}
