package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// await waits until ok says so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited for: %s", what)
		}
	}
}

// silent is a registry that takes connections and never says a word.
func silent(t *testing.T, fleet *testfleet.Fleet) (trust.Registry, *canary.Ref, <-chan net.Conn) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(fleet.Gateway(), "0"))
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	r := trust.Registry{Host: testfleet.RegistryName}
	r.Port, err = strconv.Atoi(port)
	must(t, err)
	return r, &canary.Ref{
		Name: r.Address() + "/regctl/canary:x", Repository: "regctl/canary", Tag: "x", Digests: []string{"sha256:0"},
		User: "regctl-canary", Password: secret.New("a password of the test"),
	}, conns
}

// A pull that hangs when regctl is interrupted or dies ends by itself, and leaves
// nothing.
func TestAnInterruptedPullLeavesNothing(t *testing.T) {
	t.Parallel()
	fleet, all := clients(t)
	ca := serve(t, fleet, kind{}).CA
	for i, one := range tools() {
		t.Run(one.by, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			c := all[i]
			r, ref, conns := silent(t, fleet)
			placed := r
			placed.CA = ca
			c.trusts(t, placed, trust.Options{}, one.store)
			seen, before := c.seen(t), c.state()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan []verify.Outcome, 1)
			go func() {
				done <- verify.Client(ctx, c.SSH, seen, c.placed, verify.Target{Registry: r, Mode: verify.Auto, Canary: ref})
			}()
			conn := <-conns
			cancel()
			if got := <-done; len(got) != 1 || !errors.Is(got[0].Err, context.Canceled) {
				t.Errorf("%+v", got)
			}
			must(t, c.Close())
			_ = conn.Close()
			await(t, "the script to tidy up", func() bool {
				for len(conns) > 0 {
					_ = (<-conns).Close() // it tries again
				}
				return !strings.Contains(strings.Join(c.state(), "\n"), "regctl-verify")
			})
			c.same(t, before)
		})
	}
}

// A script that is told to stop ends what it runs, and leaves nothing.
func TestAScriptThatIsStoppedTidiesUp(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "root", "curl")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	h := host.NewShell(t.TempDir())
	t.Cleanup(func() { must(t, h.Close()) })
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	folder := make(chan string, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // it is under way
		}
		folder <- ownFolder()
		cancel()
	}()
	seen := trust.Client{Machine: host.Machine{Tools: map[string]string{"curl": "curl"}}}
	target := verify.Target{Registry: trust.Registry{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, Mode: verify.TLS}
	got := verify.Client(ctx, h, seen, []trust.Placement{{Store: trust.Docker}}, target)
	if len(got) != 1 || !errors.Is(got[0].Err, context.Canceled) || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), got)
	}
	path := <-folder
	if _, err := os.Stat(path); path == "" || !os.IsNotExist(err) {
		t.Errorf("left %q: %v", path, err)
	}
}

// ownFolder is that of a script which this process has started.
func ownFolder() string {
	all, _ := filepath.Glob("/run/regctl-verify-*")
	for _, path := range all {
		status, _ := os.ReadFile("/proc/" + strings.Split(filepath.Base(path), "-")[2] + "/status")
		if strings.Contains(string(status), fmt.Sprintf("PPid:\t%d\n", os.Getpid())) {
			return path
		}
	}
	return ""
}

// named is a canary at another registry.
func named(r trust.Registry, ref *canary.Ref) *canary.Ref {
	other := *ref
	other.Name = r.Address() + "/" + ref.Repository + ":" + ref.Tag
	return &other
}

// dockerd does not see at once what --map-host wrote.
func TestWaitsForANameThatWasJustPlaced(t *testing.T) {
	t.Parallel()
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.Docker)...)
	c := login(t, fleet, fleet.Host(0))
	r := serve(t, fleet, kind{})
	target := verify.Target{Registry: r.Registry, Mode: verify.Auto, Canary: r.canary(t, false)}
	c.Run("sed -i '/ " + testfleet.RegistryName + "$/d' /etc/hosts")
	await(t, "dockerd to forget the name", func() bool {
		out, err := c.Exec("docker pull " + testfleet.RegistryName + ":1/x")
		return err != nil && strings.Contains(out, "lookup")
	})
	c.trusts(t, r.Registry, trust.Options{}, trust.Docker)
	c.expect(t, target, "docker pull", "no name that is known there")
	c.trusts(t, r.Registry, trust.Options{MapHost: fleet.Gateway()}, trust.Docker)
	c.expect(t, target, "docker pull", "")
	// It gives up in the end, and at once where waiting does not help.
	for port, want := range map[int]string{1: "connection refused", r.Port: unknown} {
		target.Registry.Port = port
		target.Canary = named(target.Registry, target.Canary)
		c.Run("rm /etc/docker/certs.d/*/ca.crt")
		began := time.Now()
		c.expect(t, target, "docker pull", want)
		if took := time.Since(began); (took > 7*time.Second) != (port == 1) || took > 30*time.Second {
			t.Errorf("%s after %s", want, took)
		}
		c.trusts(t, r.Registry, trust.Options{MapHost: fleet.Gateway()}, trust.Docker)
	}
}

// A mirror is pulled from by the name of what it mirrors.
func TestPullsByWayOfAMirror(t *testing.T) {
	t.Parallel()
	stores := []trust.Store{trust.Docker, trust.Podman, trust.Containerd}
	fleet := testfleet.New(t, testfleet.Hosts(1, testfleet.Docker, testfleet.Podman, testfleet.Containerd)...)
	c := login(t, fleet, fleet.Host(0))
	c.configPath()
	for _, guarded := range []bool{true, false} {
		r := serve(t, fleet, kind{mirror: true, guarded: guarded})
		c.Run("rm -f /etc/containers/registries.conf.d/regctl*") // podman heeds one mirror of a name
		c.trusts(t, r.Registry, trust.Options{AsMirror: true}, stores...)
		c.spy(t, "docker")
		before := c.state()
		got := c.verify(t, verify.Target{Registry: r.Registry, Mode: verify.Pull, Canary: r.canary(t, guarded)})
		c.same(t, before)
		if len(got) != 6 {
			t.Fatalf("%+v", got)
		}
		for _, o := range got {
			if !o.Verified || o.Err != nil || strings.Contains(o.Note, "Docker Hub") != (guarded && o.Store == trust.Mirror && o.By == "docker pull") {
				t.Errorf("guarded %v: %+v", guarded, o)
			}
		}
		c.Run("mv /usr/bin/docker.real /usr/bin/docker")
		data, err := c.ReadFile(spied)
		must(t, err)
		if strings.Contains(string(data), "docker.io/regctl/canary") == guarded {
			t.Errorf("guarded %v: docker was called so:\n%s", guarded, data)
		}
	}
}
