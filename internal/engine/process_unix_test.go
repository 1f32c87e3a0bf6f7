//go:build unix

package engine

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// TestChild is no test: it is the process that the tests below start, this same
// executable with arguments. Under `go test` itself it has none.
func TestChild(*testing.T) {
	if flag.NArg() < 2 {
		return
	}
	role, dir := flag.Arg(0), flag.Arg(1)
	if err := child(role, dir); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\nhint: %s\n", err, fault.Hint(err))
		os.Exit(1)
	}
	os.Exit(0)
}

func child(role, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if role == "launcher" {
		if _, err := (Processes{}).Do(ctx, createOp(dir, "serve")); err != nil {
			return err
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if role == "launcher-late" {
		_, err := (Processes{}).Do(ctx, createOp(dir, "late"))
		return err
	}
	if role == "starter" {
		op := createOp(dir, "")
		op.Want.Data = []byte(flag.Arg(2))
		_, err := (Processes{}).Do(ctx, op)
		return err
	}
	if role == "late" {
		waitForFile(filepath.Join(dir, "go"))
	}
	release, err := claimPIDFile(PIDFile(dir))
	if err != nil {
		return err
	}
	defer release()
	switch role {
	case "fail":
		return fault.Fail("free it", "port 5000 is held by pid 7 (nginx)")
	case "silent":
		<-ctx.Done()
		return nil
	}
	if err := detach(filepath.Join(dir, "crash.log")); err != nil {
		return err
	}
	if role == "panic" {
		waitForFile(filepath.Join(dir, "go"))
		panic("the trace goes to the crash log")
	}
	<-ctx.Done()
	if role == "stubborn" {
		waitForFile(filepath.Join(dir, "go"))
	}
	return nil
}

func waitForFile(path string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 6000 { // half a minute: a child must not outlive its test for long
		if _, err := os.Stat(path); err == nil {
			return
		}
		<-tick.C
	}
}

func childProcess(dir, role string) Process {
	return Process{Exe: os.Args[0], Args: []string{"-test.run=^TestChild$", role, dir}}
}

func createOp(dir, role string) host.Op {
	return host.Op{
		Ref:    host.Ref{Kind: KindProcess, Path: dir},
		Action: host.Create, Want: childProcess(dir, role).Fact(), Before: host.AnyBefore,
	}
}

// bed is a registry's directory with a handler; what runs there ends with the test.
type bed struct {
	*testing.T
	Processes
	dir string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t, Processes{Drain: 20 * time.Second}, t.TempDir()}
	t.Cleanup(func() {
		for _, pidFile := range []string{LoopPIDFile(b.dir), PIDFile(b.dir)} {
			if err := (Processes{Drain: time.Millisecond}).stop(context.Background(), pidFile); err != nil {
				t.Error(err)
			}
		}
	})
	return b
}

func (b *bed) do(role string, action host.Action) host.Fact {
	b.Helper()
	op := createOp(b.dir, role)
	op.Action = action
	fact, err := b.Do(b.Context(), op)
	if err != nil {
		b.Fatalf("%s: %v", action, err)
	}
	return fact
}

// pid is that of the process that runs, 0 if none does.
func (b *bed) pid() int {
	b.Helper()
	r, ok, err := findProcess(PIDFile(b.dir))
	if err != nil {
		b.Fatal(err)
	}
	if !ok {
		return 0
	}
	return r.PID
}

func (b *bed) await(what string, cond func() bool) {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			b.Fatalf("not in 20 s: %s", what)
		}
	}
}

func TestProcessLife(t *testing.T) {
	b := newBed(t)
	if fact := b.do("serve", host.Create); fact.Hash() != createOp(b.dir, "serve").Want.Hash() {
		t.Errorf("after create: %s", fact.Data)
	}
	first := b.pid()
	if sid, err := getsid(first); err != nil || sid != first {
		t.Errorf("session of pid %d is %d, %v: it would end with our terminal", first, sid, err)
	}
	if b.do("serve", host.Create); b.pid() != first {
		t.Error("a second create started it anew")
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await("the killed process is seen to be gone", func() bool { return b.pid() == 0 })
	b.await("no zombie of ours is left", func() bool { return syscall.Kill(first, 0) == syscall.ESRCH })
	if fact, err := b.Look(t.Context(), b.dir); fact.Exists || err != nil {
		t.Errorf("after kill -9: %v, %v", fact, err)
	}
	b.do("serve", host.Start)
	second := b.pid()
	if second == 0 || second == first {
		t.Errorf("start after kill -9: pid %d", second)
	}
	if b.do("serve", host.Restart); b.pid() == 0 || b.pid() == second {
		t.Errorf("restart: pid %d, was %d", b.pid(), second)
	}
	third := b.pid()
	if b.do("stubborn", host.Change); b.pid() == 0 || b.pid() == third {
		t.Errorf("change: pid %d, was %d", b.pid(), third)
	}
	b.Drain = 50 * time.Millisecond
	if b.do("", host.Stop); b.pid() != 0 {
		t.Error("it outlived its drain timeout")
	}
	b.do("", host.Remove)
	if _, err := os.Stat(PIDFile(b.dir)); !os.IsNotExist(err) {
		t.Errorf("pid file after remove: %v", err)
	}
	b.do("", host.Remove)
}

func TestProcessSurvivesItsParent(t *testing.T) {
	b := newBed(t)
	p := childProcess(b.dir, "launcher")
	err := exec.Command(p.Exe, p.Args...).Run()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the launcher was to be killed: %v", err)
	}
	pid := b.pid()
	if pid == 0 {
		t.Fatal("the process died with its parent")
	}
	if b.do("serve", host.Create); b.pid() != pid {
		t.Error("it was not found again")
	}
	if b.do("serve", host.Stop); b.pid() != 0 {
		t.Error("it was not stopped")
	}
}

// A regctl that is killed after it started the process, and before that one wrote
// its pid file, leaves a process that nobody knows of yet.
func TestProcessUnknownYet(t *testing.T) {
	b := newBed(t)
	p := childProcess(b.dir, "launcher-late")
	launcher := exec.Command(p.Exe, p.Args...)
	if err := launcher.Start(); err != nil {
		t.Fatal(err)
	}
	b.await("the process has started", func() bool { return len(children(t, launcher.Process.Pid)) == 1 })
	orphan := children(t, launcher.Process.Pid)[0]
	_ = launcher.Process.Kill()
	_ = launcher.Wait()

	result := make(chan error, 1)
	go func() {
		_, err := b.Do(context.WithoutCancel(t.Context()), createOp(b.dir, "late"))
		result <- err
	}()
	b.await("the second start has its process", func() bool { return len(children(t, os.Getpid())) == 1 })
	second := children(t, os.Getpid())[0]
	if err := os.WriteFile(filepath.Join(b.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	b.await("one of the two is left", func() bool {
		_, one := startTime(orphan)
		_, two := startTime(second)
		return one != two
	})
	if pid := b.pid(); pid != orphan && pid != second {
		t.Errorf("pid file names %d, not %d or %d", pid, orphan, second)
	}
}

func TestProcessRecycledPID(t *testing.T) {
	b := newBed(t)
	b.do("serve", host.Create)
	data, err := os.ReadFile(PIDFile(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	var r pidRecord
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	b.do("serve", host.Stop)
	stranger := exec.Command("sleep", "60") // starts at least one clock tick later: the above took longer
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	if start, ok := startTime(stranger.Process.Pid); !ok || start == r.Start {
		t.Fatalf("the stranger started at %s, as ours did at %s", start, r.Start)
	}
	r.PID = stranger.Process.Pid
	if err := os.WriteFile(PIDFile(b.dir), canonical(r), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.pid() != 0 {
		t.Error("a stranger was taken for ours")
	}
	b.do("serve", host.Stop)
	b.do("serve", host.Create)
	if _, ok := startTime(stranger.Process.Pid); !ok {
		t.Error("a stranger was killed")
	}
}

func TestProcessHalfWrittenPIDFile(t *testing.T) {
	b := newBed(t)
	for _, text := range []string{"", "{\"pid\":", "1\n", `{"pid":1,"start":""}`} {
		if err := os.WriteFile(PIDFile(b.dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b.pid() != 0 {
			t.Errorf("%q was taken for a process", text)
		}
	}
	if b.do("serve", host.Create); b.pid() == 0 {
		t.Error("it did not start")
	}
}

func TestProcessDoesNotStart(t *testing.T) {
	b := newBed(t)
	_, err := b.Do(t.Context(), createOp(b.dir, "fail"))
	if err == nil || !strings.Contains(err.Error(), "port 5000 is held by pid 7 (nginx)") || fault.Hint(err) != "free it" {
		t.Errorf("error %v, hint %q", err, fault.Hint(err))
	}
	op := createOp(b.dir, "serve")
	op.Want = Process{Exe: filepath.Join(b.dir, "absent")}.Fact()
	if _, err := b.Do(t.Context(), op); !os.IsNotExist(err) {
		t.Errorf("without an executable: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Do(ctx, createOp(b.dir, "silent")); err == nil || b.pid() != 0 {
		t.Errorf("one that never serves: %v, pid %d", err, b.pid())
	}
}

func TestProcessCrashLog(t *testing.T) {
	b := newBed(t)
	b.do("panic", host.Create)
	if err := os.WriteFile(filepath.Join(b.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.await("it ends", func() bool { return b.pid() == 0 })
	log, err := os.ReadFile(filepath.Join(b.dir, "crash.log"))
	if err != nil || !strings.Contains(string(log), "panic: the trace goes to the crash log") {
		t.Errorf("crash log: %v\n%s", err, log)
	}
}

func TestDetachFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "shadow"), filepath.Join(dir, "crash.log")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := detach(link); err == nil {
		t.Error("a link in the log folder was followed")
	}
}

// children lists the child processes of pid that run.
func children(t *testing.T, pid int) []int {
	t.Helper()
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	if len(stats) == 0 {
		t.Skip("needs /proc")
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var child, ppid int
		var state string
		_, rest, _ := strings.Cut(string(stat), ") ")
		_, _ = fmt.Sscan(string(stat), &child)
		if _, err := fmt.Sscan(rest, &state, &ppid); err == nil && ppid == pid && state != "Z" {
			pids = append(pids, child)
		}
	}
	return pids
}

func getsid(pid int) (int, error) {
	out, err := exec.Command("ps", "-o", "sess=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		return 0, err
	}
	var sid int
	_, err = fmt.Sscan(string(out), &sid)
	return sid, err
}
