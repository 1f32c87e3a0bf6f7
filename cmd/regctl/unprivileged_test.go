package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/testenv"
)

// TestUnprivileged runs a registry as somebody who is not root and may not use
// Docker.
func TestUnprivileged(t *testing.T) {
	testenv.Need(t, "docker")
	p := newPerson(t)
	before := p.tree(t)
	port := newRun(t, p.bin, "port").port
	init := []string{"init", "--host", "registry.test", "--port", port}

	// Docker is here but not for them: that is said, not worked around.
	p.refused(t, nil, init, "no permission to use the Docker Engine's socket")
	p.refused(t, []string{"/run"}, init, "the Docker Engine is not running")
	if now := p.tree(t); !slices.Equal(now, before) {
		t.Fatalf("a refused init left %q, was %q", now, before)
	}

	// Where there is no Docker at all, it is a process.
	code, said := p.regctl([]string{"/run", "/usr/sbin", "/usr/local/sbin"}, init...)
	t.Cleanup(func() { p.regctl(nil, "destroy", "--yes", "--quiet") })
	if code != 0 {
		t.Fatalf("init: exit status %d\n%s", code, said)
	}
	dir := filepath.Join(p.home, "share", "regctl", "registry")
	var status struct {
		Dir, Runtime, State, Reboot string
		Healthy                     bool
	}
	if err := json.Unmarshal([]byte(p.must(t, "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Dir != dir || status.Runtime != "process" || status.State != "running" || !status.Healthy || status.Reboot == "" {
		t.Errorf("status: %+v", status)
	}
	p.owns(t, port, dir)
	r := &run{p.bin, "person", dir, port}
	image := r.pushed(t, "")
	for _, command := range [][]string{append(init, "--runtime", "process"), {"start"}, {"apply"}} {
		if said := p.must(t, command...); !strings.Contains(said, "nothing to do") {
			t.Errorf("regctl %s:\n%s", strings.Join(command, " "), said)
		}
	}
	p.must(t, "restart")
	p.must(t, "stop")
	p.must(t, "start")
	r.pulled(t, "", image)

	p.must(t, "destroy", "--yes")
	if holder := engine.PortHolder(":" + port); holder != "" {
		t.Errorf("port %s is still held by %s", port, holder)
	}
	// Folders for data in general are not the registry's.
	now := slices.DeleteFunc(p.tree(t), func(line string) bool { return strings.HasPrefix(line, "share ") })
	if !slices.Equal(now, before) {
		t.Errorf("left %q, was %q", now, before)
	}
}

// person is somebody who is not root.
type person struct{ bin, home string }

// The user nobody, whom every machine has.
const nobody = 65534

// newPerson gives them a home, with regctl in it.
func newPerson(t *testing.T) *person {
	t.Helper()
	testenv.Need(t, "root", "setpriv", "unshare", "mount")
	home := t.TempDir()
	// It is in a folder that only root may enter.
	if err := os.Chmod(filepath.Dir(home), 0o711); err != nil {
		t.Fatal(err)
	}
	p := &person{filepath.Join(home, "regctl"), home}
	if err := os.WriteFile(p.bin, read(t, build(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{home, p.bin} {
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// regctl runs regctl as that person, to whom the hidden folders seem empty.
func (p *person) regctl(hidden []string, args ...string) (code int, said string) {
	script := ""
	for _, dir := range hidden {
		script += "test ! -d " + dir + " || mount -t tmpfs none " + dir + " && "
	}
	argv := []string{
		"unshare", "--mount", "sh", "-c", script + `exec "$@"`, "sh",
		"setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups",
		"env", "-i", "PATH=/bin", "HOME=" + p.home, "XDG_DATA_HOME=" + filepath.Join(p.home, "share"), p.bin,
	}
	argv = append(argv, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func (p *person) must(t *testing.T, args ...string) string {
	t.Helper()
	code, said := p.regctl(nil, args...)
	if code != 0 {
		t.Fatalf("regctl %s: exit status %d\n%s", strings.Join(args, " "), code, said)
	}
	return said
}

func (p *person) refused(t *testing.T, hidden, command []string, why string) {
	t.Helper()
	code, said := p.regctl(hidden, command...)
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if code != 1 || len(lines) != 2 || !strings.Contains(lines[0], why) ||
		!strings.HasPrefix(lines[1], "hint: ") || !strings.Contains(lines[1], "--runtime process") {
		t.Errorf("exit status %d, want 1, %q and a hint of --runtime process:\n%s", code, why, said)
	}
}

// owns demands that what was made, and the process on the port, is that person's.
func (p *person) owns(t *testing.T, port, dir string) {
	t.Helper()
	var pid int
	if _, err := fmt.Sscanf(engine.PortHolder(":"+port), "pid %d", &pid); err != nil {
		t.Fatalf("nobody listens on %s: %v", port, err)
	}
	for _, path := range []string{fmt.Sprintf("/proc/%d", pid), dir, filepath.Join(dir, "certs", "ca.key"), filepath.Join(dir, "data")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != nobody {
			t.Errorf("%s is of user %d, want %d", path, uid, nobody)
		}
	}
}

// tree lists what is in their home.
func (p *person) tree(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := filepath.Walk(p.home, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == p.home {
			return err
		}
		lines = append(lines, fmt.Sprint(strings.TrimPrefix(path, p.home+"/"), " ", info.Mode(), " ", info.Size()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
