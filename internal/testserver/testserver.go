// Package testserver builds programs of the modules in .ci/tools, and runs them for as long
// as a test goes on.
package testserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is for what should happen at once, on a machine that is busy.
const Patience = 30 * time.Second

// Process is a server that lives as long as the pipe from its test: one that was
// killed leaves none behind.
type Process struct {
	// Binary is the program, in Go's build cache.
	Binary string
	cmd    *exec.Cmd
	pipe   io.Closer
	log    *logBuffer
	ended  chan struct{} // closed when it has
}

// Program is a program of a tools' module.
type Program struct {
	Module string // a folder of .ci/tools
	Name   string
	Dir    string       // where it runs
	Env    []string     // beside the test's own
	Client *http.Client // asks whether it answers
}

// Start builds and runs a program until it answers at the URL that prepare returns.
// Another may have taken a port in the meantime: it is tried anew with what prepare says
// then. It is stopped when the test ends.
func (g Program) Start(t testing.TB, prepare func() (args []string, url string)) *Process {
	t.Helper()
	binary := g.build(t)
	for attempt := 1; ; attempt++ {
		args, url := prepare()
		p := g.spawn(t, binary, args)
		t.Cleanup(p.Stop)
		if g.answers(t, p, url) {
			return p
		}
		p.Stop()
		if taken := strings.Contains(p.Log(), "address already in use"); !taken || attempt == 5 {
			t.Fatalf("%s does not answer at %s:\n%s", g.Name, url, p.Log())
		}
	}
}

// build returns the path of a program in Go's build cache.
func (g Program) build(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+filepath.Join(root, ".ci", "tools", g.Module, "go.mod"), "-n", g.Name)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", g.Name, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// untilEOF runs a program until it ends or standard input does.
const untilEOF = `exec 3<&0
"$@" </dev/null 3<&- & pid=$!
(cat <&3; kill -9 $pid) >/dev/null 2>&1 & watcher=$!
wait $pid
kill $watcher`

func (g Program) spawn(t testing.TB, binary string, args []string) *Process {
	t.Helper()
	p := &Process{Binary: binary, log: &logBuffer{}, ended: make(chan struct{})}
	p.cmd = exec.Command("sh", append([]string{"-c", untilEOF, "sh", binary}, args...)...)
	p.cmd.Dir = g.Dir
	p.cmd.Env = append(os.Environ(), g.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	pipe, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.pipe = pipe
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

// Log is what it has said.
func (p *Process) Log() string { return p.log.String() }

// Stop may be called again.
func (p *Process) Stop() {
	p.pipe.Close()
	<-p.ended
}

// answers waits until the server does, or has ended.
func (g Program) answers(t testing.TB, p *Process, url string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := g.Client.Do(req); err == nil {
			resp.Body.Close()
			return true
		}
		// What cannot listen ends at once, or goes on without it.
		if strings.Contains(p.Log(), "address already in use") {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-p.ended:
			return false
		case <-tick.C:
		}
	}
}

// Loopback is an address that no other test is likely to use, where the system has
// more than one.
func Loopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// FreePort is a TCP port that nobody listens on now. It is none of those that the kernel
// gives to whoever connects or asks for any (32768 and up), who may take it next.
func FreePort(t testing.TB, addr string) int {
	t.Helper()
	var err error
	for range 100 {
		port := 10000 + rand.IntN(20000)
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port))); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal(err)
	return 0
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
