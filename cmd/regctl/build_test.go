package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// builds are the executables that tests share, by what the linker was told and the
// package: to link one takes seconds.
var builds = struct {
	sync.Mutex
	dir  string
	made map[string]string
}{made: map[string]string{}}

func TestMain(m *testing.M) {
	code := m.Run()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

// build makes regctl's static executable.
func build(t testing.TB) string {
	t.Helper()
	return linked(t, ".", "")
}

// buildAs makes the static executable of a package that says it is of that version;
// more is for the linker.
func buildAs(t testing.TB, version, pkg string, more ...string) string {
	t.Helper()
	return linked(t, pkg, strings.Join(append([]string{"-X main.version=" + version}, more...), " "))
}

func linked(t testing.TB, pkg, flags string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	key := pkg + " " + flags
	if bin := builds.made[key]; bin != "" {
		return bin
	}
	bin, err := link(pkg, flags)
	if err != nil {
		t.Fatal(err)
	}
	builds.made[key] = bin
	return bin
}

// link makes an executable called regctl in a folder of its own, which all may enter.
func link(pkg, flags string) (bin string, err error) {
	if builds.dir == "" {
		if builds.dir, err = os.MkdirTemp("", "regctl-builds-"); err != nil {
			return "", err
		}
	}
	folder := filepath.Join(builds.dir, fmt.Sprint(len(builds.made)))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(builds.dir, 0o755); err != nil {
		return "", err
	}
	bin = filepath.Join(folder, "regctl")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", strings.TrimSpace("-s -w "+flags), "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}
