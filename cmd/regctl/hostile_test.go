package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/testenv"
)

// oneJSON demands that the last command printed exactly one JSON document with a
// schemaVersion, and nothing beside it.
func oneJSON(ts *testscript.TestScript, _ bool, _ []string) {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var doc struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	ts.Check(decoder.Decode(&doc))
	if doc.SchemaVersion != 1 {
		ts.Fatalf("schemaVersion is %d, want 1", doc.SchemaVersion)
	}
	if err := decoder.Decode(&doc); !errors.Is(err, io.EOF) {
		ts.Fatalf("there is more than one document on stdout: %v", err)
	}
}

// runtimes calls test once for each runtime that this machine has.
func runtimes(t *testing.T, test func(t *testing.T, runtime string)) {
	for _, runtime := range []string{"docker", "process"} {
		t.Run(runtime, func(t *testing.T) {
			if runtime == "docker" {
				testenv.Need(t, "docker")
			}
			test(t, runtime)
		})
	}
}

// killedAt runs a command and kills it at a random moment of the time whole.
func (r *run) killedAt(t *testing.T, whole time.Duration, args ...string) time.Duration {
	t.Helper()
	moment := time.Duration(rand.Int64N(int64(whole)))
	cmd := r.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return moment
}

// killedOver kills a command as soon as a file has changed.
func (r *run) killedOver(t *testing.T, path string, args ...string) {
	t.Helper()
	before := read(t, path)
	cmd := r.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			t.Fatalf("regctl %v did not change %s", args, path)
		case <-tick.C:
		}
		if now, err := os.ReadFile(path); err == nil && !bytes.Equal(now, before) {
			_ = cmd.Process.Kill()
			<-ended
			return
		}
	}
}

// turn is the header by which the registry's configuration is told from others.
func (r *run) turn(t *testing.T) string {
	t.Helper()
	resp, err := (&http.Client{Transport: anyCertificate}).Get("https://127.0.0.1:" + r.port + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.Header.Get("X-Turn")
}

// TestKilledApplyAndDestroy kills apply while it changes the configuration and
// the certificate, and then destroy: the same command again must finish.
func TestKilledApplyAndDestroy(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "killed-more-"+runtime)
		r.must(t, "init", "--host", "a.test", "--runtime", runtime, "--port", r.port)
		wish := filepath.Join(r.dir, "regctl.yaml")
		yaml, err := os.ReadFile(wish)
		if err != nil {
			t.Fatal(err)
		}
		turn := func(i int) {
			level := []string{"info", "debug"}[i%2]
			text := strings.Replace(string(yaml), "- a.test", "- a.test\n  - "+level+".test", 1) +
				fmt.Sprintf("\nconfig: {log: {level: %s}, http: {headers: {X-Turn: [\"%d\"]}}}\n", level, i)
			if err := os.WriteFile(wish, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		turn(0)
		start := time.Now()
		r.must(t, "apply")
		whole := time.Since(start)
		for i := range 8 {
			turn(i + 1)
			moment := time.Duration(0)
			if i%2 == 0 {
				moment = r.killedAt(t, whole, "apply")
			} else {
				r.killedOver(t, filepath.Join(r.dir, "serve", "config.yml"), "apply")
				if code, said := r.fails(t, "plan"); code != 4 {
					t.Errorf("plan, when apply was killed over the configuration: %d\n%s", code, said)
				}
			}
			said := r.must(t, "apply")
			if i%2 == 1 && strings.Contains(said, "nothing to do") {
				t.Errorf("apply that finished another said:\n%s", said)
			}
			r.must(t, "status", "--check")
			if got := r.turn(t); got != strconv.Itoa(i+1) {
				t.Fatalf("killed after %v: it runs by the configuration of turn %s, not %d", moment, got, i+1)
			}
			r.noHalfFile(t)
			if out := r.must(t, "plan"); !strings.Contains(out, "nothing to do") {
				t.Fatalf("killed after %v: plan after apply:\n%s", moment, out)
			}
		}
		for i := range 8 {
			if i%2 == 0 {
				r.killedAt(t, whole/2, "destroy", "--yes")
			} else {
				r.must(t, "destroy", "--yes")
				r.killedAt(t, whole, "init", "--host", "a.test", "--runtime", runtime, "--port", r.port)
			}
			said := r.must(t, "destroy", "--yes")
			if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
				t.Fatalf("destroy left %s: %v\n%s", r.dir, err, said)
			}
			r.noContainer(t)
			r.must(t, "init", "--host", "a.test", "--runtime", runtime, "--port", r.port)
		}
	})
}

// TestInterruptedInit sends SIGINT in the middle of init: exit status 130, and
// nothing is left, or all is there.
func TestInterruptedInit(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "interrupted-"+runtime)
		init := []string{"init", "--host", "a.test", "--runtime", runtime, "--port", r.port}
		start := time.Now()
		r.must(t, init...)
		whole := time.Since(start)
		r.must(t, "destroy", "--yes")
		for range 5 {
			cmd := r.command(init...)
			var said strings.Builder
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Signal(os.Interrupt) })
			err := cmd.Wait()
			timer.Stop()
			if err == nil { // it was quicker
				r.must(t, "destroy", "--yes")
				continue
			}
			// A signal that comes before main runs ends a program as it ends any.
			early := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT
			if !early && (cmd.ProcessState.ExitCode() != 130 || !strings.Contains(said.String(), "error: interrupted\nhint: ")) {
				t.Errorf("%v, want exit status 130:\n%s", err, said.String())
			}
			if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
				left, _ := filepath.Glob(filepath.Join(r.dir, "*"))
				t.Errorf("an interrupted init left %s: %v, %v\n%s", r.dir, err, left, said.String())
			}
			r.noContainer(t)
		}
	})
}

// TestTwoInits starts the same init twice at once: one waits, and both end well.
// One that may not wait says who is at work.
func TestTwoInits(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "two-"+runtime)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				out, err := r.command("init", "--host", "a.test", "--runtime", runtime, "--port", r.port).CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		both.Wait()
		r.must(t, "status", "--check")
		if runtime == "docker" {
			r.oneContainer(t)
		}
	})
	t.Run("held", func(t *testing.T) {
		r := newRun(t, bin, "held")
		r.must(t, "init", "--host", "a.test", "--runtime", "process", "--port", r.port, "--no-start")
		lock, err := os.OpenFile(filepath.Join(r.dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		out, err := r.command("apply", "--timeout", "50ms").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is held by pid") || !strings.Contains(string(out), "hint: ") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestFullDiskUnderDocker has init meet a full file system at many points: it
// says so, and leaves nothing.
func TestFullDiskUnderDocker(t *testing.T) {
	testenv.Need(t, "root", "mount", "docker")
	bin := build(t)
	for _, size := range []string{"4k", "12k", "24k", "36k", "48k", "4m", "96m"} {
		t.Run(size, func(t *testing.T) {
			r := newRun(t, bin, "full")
			disk := t.TempDir()
			if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=700,size="+size, "tmpfs", disk).CombinedOutput(); err != nil {
				t.Fatalf("mount: %v\n%s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
			r.dir = filepath.Join(disk, "reg")
			init := []string{"init", "--host", "a.test", "--runtime", "docker", "--port", r.port, "--quiet"}
			if size == "96m" { // there is room, for the copy of regctl too
				r.must(t, init...)
				r.must(t, "destroy", "--yes")
				return
			}
			out, err := r.command(init...).CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if err == nil || len(lines) != 2 || !strings.Contains(lines[0], "no space left") || !strings.Contains(lines[1], "hint: make room") {
				t.Errorf("%v, want one line about the full disk and a hint:\n%s", err, out)
			}
			left, _ := filepath.Glob(filepath.Join(disk, "*"))
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			r.noContainer(t)
		})
	}
}

// TestSecretsStayIn looks for the HTTP secret and the private keys in everything
// that regctl prints, and in what others can see of the processes.
func TestSecretsStayIn(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "secret-"+runtime)
		said := r.must(t, "init", "--host", "a.test", "--runtime", runtime, "--port", r.port, "--set", "notifications.endpoints=[{name: x, url: http://127.0.0.1:1/, headers: {Authorization: [Bearer hunter2]}}]")
		said += processes(t)
		for _, remove := range []string{"serve", "secrets"} {
			secret := filepath.Join(r.dir, "secrets", "http")
			known, err := os.ReadFile(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(r.dir, remove)); err != nil {
				t.Fatal(err)
			}
			said += r.says("plan") + r.says("plan", "-o", "json") + r.says("apply") + r.says("config", "render") + r.says("config", "render", "-o", "json")
			said += r.says("config", "import", "--dry-run", filepath.Join(r.dir, "serve", "config.yml"))
			said += r.says("status", "-o", "yaml") + r.says("logs") + r.says("init", "--set", "http.secret=hunter2")
			said += r.says("destroy", "--dry-run") + processes(t)
			r.holdsNone(t, said, string(known), filepath.Join(r.dir, "certs", "ca.key"), filepath.Join(r.dir, "certs", "domain.key"), secret)
		}
		if runtime == "docker" {
			out, err := exec.Command("docker", "inspect", r.name).Output()
			if err != nil {
				t.Fatal(err)
			}
			r.holdsNone(t, string(out), "", filepath.Join(r.dir, "secrets", "http"), filepath.Join(r.dir, "certs", "domain.key"))
		}
		if clear := r.must(t, "config", "render", "--show-secrets"); !strings.Contains(clear, "hunter2") {
			t.Error("--show-secrets shows none")
		}
	})
}

// says is the output of a command, however it ends.
func (r *run) says(args ...string) string {
	out, _ := r.command(args...).CombinedOutput()
	return string(out)
}

func (r *run) holdsNone(t *testing.T, said, more string, files ...string) {
	t.Helper()
	secrets := []string{"hunter2", "PRIVATE KEY"}
	if more = strings.TrimSpace(more); more != "" {
		secrets = append(secrets, more)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); len(line) > 20 {
				secrets = append(secrets, line)
			}
		}
	}
	for _, s := range secrets {
		if i := strings.Index(said, s); i >= 0 {
			t.Errorf("a secret was printed: %q", said[max(0, i-200):min(len(said), i+len(s)+50)])
		}
	}
}

// processes is what ps shows: every process's arguments.
func processes(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		data, _ := os.ReadFile(path)
		all.Write(data)
		all.WriteByte('\n')
	}
	return all.String()
}
