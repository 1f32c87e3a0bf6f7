package main_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
)

// TestKilledInit kills init at random moments: the same init again must always
// end with a healthy registry, one container, and no half-written file; destroy
// must then leave nothing.
func TestKilledInit(t *testing.T) {
	for _, runtime := range []string{"docker", "process"} {
		t.Run(runtime, func(t *testing.T) {
			if runtime == "docker" {
				testenv.Need(t, "docker")
			}
			killedInit(t, runtime)
		})
	}
}

func killedInit(t *testing.T, runtime string) {
	r := newRun(t, build(t), "killed-"+runtime)
	init := []string{"init", "--host", "registry.test", "--runtime", runtime, "--port", r.port}

	start := time.Now()
	r.must(t, init...)
	whole := time.Since(start)
	r.must(t, "destroy", "--yes")

	for i := range 20 {
		moment := time.Duration(rand.Int64N(int64(whole)))
		cmd := r.command(init...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()

		r.must(t, init...)
		r.must(t, "status", "--check")
		r.noHalfFile(t)
		if runtime == "docker" {
			r.oneContainer(t)
		}
		r.must(t, "destroy", "--yes")
		if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
			t.Fatalf("round %d, killed after %v: destroy left %s: %v", i, moment, r.dir, err)
		}
		r.noContainer(t)
	}
}

// run is one registry of a test's own, driven through the real executable.
type run struct{ bin, name, dir, port string }

var runs atomic.Int32 // so far: two at once need names of their own

func newRun(t testing.TB, bin, name string) *run {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	name = fmt.Sprintf("%s-%d-%d", name, os.Getpid(), runs.Add(1))
	r := &run{bin, name, filepath.Join(t.TempDir(), "reg"), port}
	t.Cleanup(func() { _ = r.command("destroy", "--yes", "--quiet").Run() })
	return r
}

func (r *run) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.bin, args...)
	cmd.Env = append(os.Environ(), "REGCTL_NAME="+r.name, "REGCTL_DIR="+r.dir)
	return cmd
}

func (r *run) must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("regctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (r *run) noHalfFile(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(r.dir, func(path string, _ fs.DirEntry, err error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, ".regctl-") || name == "journal" {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *run) containers(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "-a", "-q", "--filter", "label=io.regctl.registry="+r.name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func (r *run) oneContainer(t *testing.T) {
	t.Helper()
	if n := len(r.containers(t)); n != 1 {
		t.Fatalf("%d containers of %s, want 1", n, r.name)
	}
}

// noContainer demands that nothing of the registry runs any more, its renewal loop
// included.
func (r *run) noContainer(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	left := func() bool {
		all := processes(t)
		return strings.Contains(all, r.dir+"\x00") || strings.Contains(all, r.dir+"/")
	}
	for deadline := time.Now().Add(5 * time.Second); left(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("a process of %s is left", r.dir)
		}
	}
	if testenv.Has("docker") && len(r.containers(t)) != 0 {
		t.Fatalf("containers of %s are left", r.name)
	}
}
