package main_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestTaken has init meet what others hold: it must say who, and touch nothing.
func TestTaken(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	image := "regctl-taken-test:" + enginetest.Name(t, "")
	enginetest.Import(t, "", image, map[string][]byte{"/tiny": read(t, enginetest.Tiny(t))}, `ENTRYPOINT ["/tiny"]`)

	t.Run("name", func(t *testing.T) {
		r := newRun(t, bin, "")
		r.name = enginetest.Name(t, "")
		id := enginetest.Docker(t, "", "create", "--name", r.name, image)
		r.refused(t, "the container name "+r.name+" is taken by", image)
		if now := enginetest.Docker(t, "", "inspect", "--format", "{{.Id}}", r.name); now != id {
			t.Errorf("container %s was replaced by %s", id, now)
		}
	})
	t.Run("port, by a container", func(t *testing.T) {
		r := newRun(t, bin, "taken")
		holder := enginetest.Name(t, "")
		enginetest.Docker(t, "", "run", "-d", "--name", holder, "-p", r.port+":5000", image, "5000")
		r.refused(t, "port "+r.port+" is held by container "+holder, image)
		enginetest.Docker(t, "", "rm", "-f", holder)
		r.must(t, "init", "--host", "registry.test", "--port", r.port)
	})
	t.Run("port, by a process", func(t *testing.T) {
		r := newRun(t, bin, "taken")
		l, err := net.Listen("tcp", "127.0.0.1:"+r.port)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		me := fmt.Sprintf("held by pid %d (", os.Getpid())
		r.refused(t, r.port+" is", me)
		r.refused(t, r.port+" is", me, "--runtime", "process")
	})
	t.Run("port, while it was stopped", func(t *testing.T) {
		for _, runtime := range []string{"docker", "process"} {
			r := newRun(t, bin, "taken")
			r.must(t, "init", "--host", "registry.test", "--port", r.port, "--runtime", runtime)
			r.must(t, "stop")
			l, err := net.Listen("tcp", "127.0.0.1:"+r.port)
			if err != nil {
				t.Fatal(err)
			}
			code, said := r.fails(t, "start")
			if want := fmt.Sprintf("held by pid %d (", os.Getpid()); code != 1 || !strings.Contains(said, want) {
				t.Errorf("%s: start: exit status %d, want 1 and %q:\n%s", runtime, code, want, said)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r.must(t, "start")
			r.must(t, "status", "--check")
		}
	})
}

// refused runs an init that must fail with one line that holds both texts, a
// hint, and nothing left.
func (r *run) refused(t *testing.T, what, who string, flags ...string) {
	t.Helper()
	code, said := r.fails(t, append([]string{"init", "--host", "registry.test", "--port", r.port}, flags...)...)
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if code != 1 || len(lines) != 2 || !strings.HasPrefix(lines[1], "hint: ") ||
		!strings.Contains(lines[0], what) || !strings.Contains(lines[0], who) {
		t.Errorf("exit status %d, want 1, one line with %q and %q, and a hint:\n%s", code, what, who, said)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("%s was left: %v", r.dir, err)
	}
}

// fails runs a command that must not succeed.
func (r *run) fails(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := r.command(args...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("regctl %s succeeded:\n%s", strings.Join(args, " "), out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
