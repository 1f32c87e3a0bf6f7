package tests3

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

// process is a server that lives as long as the pipe from its test: one that was
// killed leaves none behind.
type process struct {
	cmd   *exec.Cmd
	pipe  io.Closer
	log   *logBuffer
	ended chan struct{} // closed when it has
}

// start runs a program of the tools' module until it answers at the URL that
// prepare returns. Another may have taken a port in the meantime: it is tried anew
// with what prepare says then.
func (s *Server) start(program, dir string, env []string, prepare func() (args []string, url string)) {
	s.t.Helper()
	s.binary = s.build(program)
	for attempt := 1; ; attempt++ {
		args, url := prepare()
		p := s.spawn(s.binary, dir, env, args)
		s.t.Cleanup(p.stop)
		if s.answers(p, url) {
			s.processes = append(s.processes, p)
			return
		}
		p.stop()
		if taken := strings.Contains(p.log.String(), "address already in use"); !taken || attempt == 5 {
			s.t.Fatalf("%s does not answer at %s:\n%s", program, url, p.log)
		}
	}
}

// build returns the path of a program in Go's build cache.
func (s *Server) build(program string) string {
	s.t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	cmd := exec.CommandContext(s.t.Context(), "go", "tool", "-modfile="+filepath.Join(root, ".ci", "tools", "versitygw", "go.mod"), "-n", program)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("build %s: %v\n%s", program, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// untilEOF runs a program until it ends or standard input does.
const untilEOF = `exec 3<&0
"$@" </dev/null 3<&- & pid=$!
(cat <&3; kill -9 $pid) >/dev/null 2>&1 & watcher=$!
wait $pid
kill $watcher`

func (s *Server) spawn(binary, dir string, env, args []string) *process {
	s.t.Helper()
	p := &process{log: &logBuffer{}, ended: make(chan struct{})}
	p.cmd = exec.Command("sh", append([]string{"-c", untilEOF, "sh", binary}, args...)...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	pipe, err := p.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p.pipe = pipe
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

// stop may be called again.
func (p *process) stop() {
	p.pipe.Close()
	<-p.ended
}

// answers waits until the server does, or has ended.
func (s *Server) answers(p *process, url string) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if resp, err := s.client.Do(req); err == nil {
			resp.Body.Close()
			return true
		}
		// What cannot listen ends at once, or goes on without it.
		if strings.Contains(p.log.String(), "address already in use") {
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

// loopback is an address that no other test is likely to use, where the system has
// more than one.
func loopback() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// free is a TCP port that nobody listens on now. It is none of those that the kernel
// gives to whoever connects or asks for any (32768 and up), who may take it next.
func free(t testing.TB, addr string) int {
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
