package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testenv"
)

// registry is one that runs by ProcessSteps: our own static executable with the
// real embedded registry, in a directory that only root can enter.
type registry struct {
	*bed
	ProcessOptions
	addr  string
	local *host.Local
}

const testID = 65532

// TestProcessRuntime builds that executable once for all that is shown of it.
func TestProcessRuntime(t *testing.T) {
	testenv.Need(t, "root", "go")
	source := buildRegctl(t)
	for name, test := range map[string]func(*registry){
		"life": testLife, "undone": testUndone, "port taken": testPortTaken, "start killed": testStartKilled,
		"renewal loop": testRenewalLoop,
	} {
		t.Run(name, func(t *testing.T) { test(newRegistry(t, source)) })
	}
}

func buildRegctl(t *testing.T) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "regctl")
	build := exec.Command("go", "build", "-o", source, "./testdata/regctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return source
}

func newRegistry(t *testing.T, source string) *registry {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := &registry{bed: newBed(t), addr: l.Addr().String()}
	r.ProcessOptions = ProcessOptions{
		Name: "engine-test", Dir: statedir.Dir(r.dir), UID: testID, GID: testID, Drain: 10 * time.Second,
		Source: source, Data: statedir.Dir(r.dir).Data(),
		RestartIf: []host.Ref{{Kind: host.File, Path: statedir.Dir(r.dir).ServeConfig()}},
	}
	r.local = host.NewLocal(map[host.Kind]host.Handler{KindBinary: Binary{Source: source}, KindProcess: r.Processes})
	if err := os.Chmod(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "ca.key"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// apply does what apply does: config.yml, then the process.
func (r *registry) apply(level string) ([]host.Receipt, error) {
	r.Helper()
	config := fmt.Sprintf("version: 0.1\nlog: {level: %s, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: %q}}\n"+
		"http: {addr: %q, secret: s}\n", level, r.Data, r.addr)
	list := []step.Step{
		step.MakeDir{Path: r.ProcessOptions.Dir.Serve(), Mode: 0o700, UID: testID, GID: testID},
		step.MakeDir{Path: r.Data, Mode: 0o700, UID: testID, GID: testID},
		step.WriteFile{Path: r.ProcessOptions.Dir.ServeConfig(), Data: []byte(config), Mode: 0o600, UID: testID, GID: testID},
	}
	own, err := ProcessSteps(r.ProcessOptions)
	if err != nil {
		r.Fatal(err)
	}
	var reads []host.Ref
	for _, s := range append(list, own...) {
		reads = append(reads, s.Reads()...)
	}
	seen, err := r.local.Look(r.Context(), reads)
	if err != nil {
		r.Fatal(err)
	}
	var ops []host.Op
	for _, s := range append(list, own...) {
		change, err := s.Plan(seen)
		if err != nil {
			r.Fatal(err)
		}
		ops = append(ops, change.Ops...)
	}
	receipts, err := r.local.Do(r.Context(), ops)
	var changed []host.Receipt
	for _, receipt := range receipts {
		if receipt.Changed {
			changed = append(changed, receipt)
		}
	}
	return changed, err
}

func (r *registry) mustApply(level string) []host.Receipt {
	r.Helper()
	receipts, err := r.apply(level)
	if err != nil {
		r.Fatal(err)
	}
	return receipts
}

// push uploads a blob in one request and reads it back.
func (r *registry) push(content string) error {
	// No connection is kept: the process at its other end comes and goes.
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + r.addr + "/v2/probe/blobs/"
	resp, err := client.Post(url+"uploads/", "", nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
	req, err := http.NewRequest(http.MethodPut, resp.Header.Get("Location")+"&digest="+digest, strings.NewReader(content))
	if err != nil {
		return err
	}
	if resp, err = client.Do(req); err != nil {
		return err
	}
	resp.Body.Close()
	if resp, err = client.Get(url + digest); err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && string(got) != content {
		err = errors.New(resp.Status)
	}
	return err
}

func testLife(r *registry) {
	r.mustApply("info")
	pid := r.pid()
	if err := r.push("one"); err != nil { // no waiting: apply came back, so it serves
		r.Fatal(err)
	}
	if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe != r.Exe() {
		r.Errorf("it runs from %s", exe)
	}
	unprivileged(r.T, pid)
	err := filepath.Walk(r.Data, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != testID {
			r.Errorf("%s is owned by %d", path, info.Sys().(*syscall.Stat_t).Uid)
		}
		return err
	})
	if err != nil {
		r.Error(err)
	}
	if status, err := r.Inspect(r.Context()); err != nil || status.State != "running" || status.Detail != fmt.Sprintf("pid %d", pid) {
		r.Errorf("status %+v, %v", status, err)
	}

	if again := r.mustApply("info"); len(again) > 0 || r.pid() != pid {
		r.Errorf("a second apply changed %v, pid %d was %d", again, r.pid(), pid)
	}
	changed := r.mustApply("warn")
	if len(changed) != 2 || r.pid() == pid || r.push("two") != nil {
		r.Errorf("another config.yml: changed %v, pid %d was %d", changed, r.pid(), pid)
	}
	if err := syscall.Kill(r.pid(), syscall.SIGKILL); err != nil {
		r.Fatal(err)
	}
	r.await("status says stopped", func() bool {
		status, err := r.Inspect(r.Context())
		return err == nil && status.State == "stopped"
	})
	r.mustApply("warn")
	if err := r.push("three"); err != nil {
		r.Errorf("after kill -9 and apply: %v", err)
	}
	var log strings.Builder
	if err := r.Logs(r.Context(), false, -1, &log); err != nil || !strings.Contains(log.String(), `"uri":"/v2/probe/blobs/`) {
		r.Errorf("log: %v\n%s", err, log.String())
	}
}

func testUndone(r *registry) {
	receipts := r.mustApply("error")
	if err := os.RemoveAll(r.ProcessOptions.Dir.Logs()); err != nil {
		r.Fatal(err)
	}
	if err := step.Undo(r.Context(), r.local, receipts); err != nil {
		r.Error(err)
	}
	left, err := os.ReadDir(r.dir)
	if err != nil || len(left) != 1 || left[0].Name() != "ca.key" {
		r.Errorf("undo left %v, %v", left, err)
	}
	if status, err := r.Inspect(r.Context()); err != nil || status.State != "absent" {
		r.Errorf("status %+v, %v", status, err)
	}
}

func testPortTaken(r *registry) {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	defer l.Close()
	_, err = r.apply("info")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %s is held by pid %d (", r.addr, os.Getpid())) {
		r.Errorf("port taken: %v", err)
	}
	if r.pid() != 0 {
		r.Error("a process is left")
	}
}

// kill -9 at any moment of a start, then a start: always one process that serves.
func testStartKilled(r *registry) {
	r.mustApply("info")
	want, err := r.Want()
	if err != nil {
		r.Fatal(err)
	}
	stop := host.Op{Ref: r.Ref(), Action: host.Stop, Before: host.AnyBefore}
	start := host.Op{Ref: r.Ref(), Action: host.Create, Want: want, Before: host.AnyBefore}
	for i := range 12 {
		if _, err := r.local.Do(r.Context(), []host.Op{stop}); err != nil {
			r.Fatal(err)
		}
		p := childProcess(r.dir, "starter")
		starter := exec.Command(p.Exe, append(p.Args, string(want.Data))...)
		if err := starter.Start(); err != nil {
			r.Fatal(err)
		}
		moment, cancel := context.WithTimeout(r.Context(), time.Duration(i)*15*time.Millisecond)
		<-moment.Done()
		cancel()
		_ = starter.Process.Kill()
		_ = starter.Wait()
		if _, err := r.local.Do(r.Context(), []host.Op{start}); err != nil {
			r.Fatalf("moment %d: %v", i, err)
		}
		r.await("it serves", func() bool { return r.push(fmt.Sprint("blob ", i)) == nil })
		if n := serving(r.T, r.Exe()); n != 1 {
			r.Errorf("moment %d: %d processes", i, n)
		}
	}
}

// serving counts the processes that run from exe.
func serving(t *testing.T, exe string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, _ := os.Readlink(link); target == exe {
			n++
		}
	}
	return n
}

func unprivileged(t *testing.T, pid int) {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if len(tasks) < 2 {
		t.Fatalf("%d threads", len(tasks))
	}
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		status := strings.Join(strings.Fields(string(data)), " ")
		for _, want := range []string{"Uid: 65532 65532 65532 65532 ", "CapEff: 0000000000000000 ", "NoNewPrivs: 1 "} {
			if !strings.Contains(status, want) {
				t.Errorf("%s lacks %q", task, want)
			}
		}
	}
}
