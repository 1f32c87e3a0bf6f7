package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
)

// TestOwnEngine uses an engine of the test's own, which it may restart, and in which
// it knows of every container and image.
func TestOwnEngine(t *testing.T) {
	bin := build(t)
	sock, restart := enginetest.Dockerd(t)
	t.Setenv("DOCKER_HOST", "unix://"+sock)
	t.Run("restart, plain", func(t *testing.T) { engineRestart(t, bin, sock, restart, "--tls", "none") })
	t.Run("restart, TLS", func(t *testing.T) { engineRestart(t, bin, sock, restart, "--host", "registry.test") })
	t.Run("killed while it loads", func(t *testing.T) { killedLoad(t, bin, sock) })
	t.Run("two registries", func(t *testing.T) { shareImage(t, bin, sock) })
}

// engineRestart restarts the engine that a registry runs in, as a reboot does: the
// registry comes back by itself, with its images.
func engineRestart(t *testing.T, bin, sock string, restart func(), flags ...string) {
	r := newRun(t, bin, "reboot")
	init := append([]string{"init", "--port", r.port}, flags...)
	r.must(t, init...)
	p := r.pushed(t, sock)
	r.must(t, "restart")
	r.pulled(t, sock, p)

	before := r.started(t, sock)
	restart()
	r.healthy(t)
	after := r.started(t, sock)
	if before.id != after.id || before.at == after.at {
		t.Errorf("%v became %v, want the same container started again", before, after)
	}
	r.pulled(t, sock, p)
	r.must(t, init...)
	if now := r.started(t, sock); now != after {
		t.Errorf("the same init again turned %v into %v", after, now)
	}

	r.must(t, "destroy", "--yes")
	engineIsEmpty(t, sock)
}

// shareImage has two registries run from one image. The last to go takes it along,
// whichever made it.
func shareImage(t *testing.T, bin, sock string) {
	one, two := newRun(t, bin, "one"), newRun(t, bin, "two")
	one.must(t, "init", "--host", "registry.test", "--port", one.port)
	two.must(t, "init", "--host", "registry.test", "--port", two.port)
	p := two.pushed(t, sock)
	one.must(t, "destroy", "--yes")
	two.must(t, "restart")
	two.pulled(t, sock, p)
	two.must(t, "destroy", "--yes")
	engineIsEmpty(t, sock)
}

// killedLoad kills init while the engine takes the image in, which the engine may
// do to the end, whoever asked for it. It goes with the registry all the same.
func killedLoad(t *testing.T, bin, sock string) {
	r := newRun(t, bin, "killed")
	init := []string{"init", "--host", "registry.test", "--port", r.port}
	start := time.Now()
	r.must(t, init...)
	whole := time.Since(start)
	r.must(t, "destroy", "--yes")
	for i := range 10 {
		cmd := r.command(init...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(whole*time.Duration(i+1)/12, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if i%2 == 0 {
			r.must(t, init...)
		}
		r.must(t, "destroy", "--yes")
		engineIsEmpty(t, sock)
	}
}

func engineIsEmpty(t *testing.T, sock string) {
	t.Helper()
	for _, list := range [][]string{{"ps", "-a", "-q"}, {"images", "-a", "-q"}, {"volume", "ls", "-q"}} {
		if left := enginetest.Docker(t, sock, list...); left != "" {
			t.Errorf("docker %s: %s", strings.Join(list, " "), left)
		}
	}
}

// healthy waits until status says so.
func (r *run) healthy(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); r.command("status", "--check").Run() != nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not healthy:\n%s", r.must(t, "status"))
		}
	}
}
