package embeddedregistry

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// patience is for what should happen at once, on a machine that is busy.
const patience = 30 * time.Second

// The SDK of S3 puts what AWS_CA_BUNDLE names into http.DefaultTransport, each time that
// a session is made, and tests make them side by side.
func TestMain(m *testing.M) {
	_ = os.Unsetenv("AWS_CA_BUNDLE")
	m.Run()
}

// wait polls until ok says so.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// logBuffer is a writer that may be read meanwhile.
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

// served is a registry that runs in this process.
type served struct {
	dir, addr string
	log       *logBuffer
	cancel    context.CancelFunc
	done      chan error
}

// base is a configuration as regctl renders it; further lines go after it.
const base = `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: DIR/data}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}}
`

const plain = base + "http: {addr: '127.0.0.1:0', secret: s}\n"

// serve starts a registry with that configuration, DIR in it being a new folder
// that prepare may fill, and ends it with the test.
func serve(t *testing.T, config string, prepare ...func(dir string, o *Options)) *served {
	t.Helper()
	s := &served{dir: t.TempDir(), log: &logBuffer{}, done: make(chan error, 1)}
	o := Options{ConfigPath: filepath.Join(s.dir, "config.yml"), Log: s.log}
	ready := make(chan net.Addr, 1)
	o.Ready = func(a net.Addr) { ready <- a }
	for _, p := range prepare {
		p(s.dir, &o)
	}
	write(t, o.ConfigPath, strings.ReplaceAll(config, "DIR", s.dir))
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.done <- Serve(ctx, o) }()
	select {
	case a := <-ready:
		s.addr = a.String()
	case err := <-s.done:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("not ready")
	}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop drains, and may be called twice.
func (s *served) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	select {
	case err, open := <-s.done:
		if open && err != nil {
			t.Error(err)
		}
		if open {
			close(s.done)
		}
	case <-time.After(patience):
		t.Error("did not stop")
	}
}

// refusal returns what Serve answers when it should not start.
func refusal(t *testing.T, config string) error {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yml"), strings.ReplaceAll(config, "DIR", dir))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Serve(ctx, Options{
		ConfigPath: filepath.Join(dir, "config.yml"), Log: io.Discard,
		Ready: func(net.Addr) { cancel() },
	})
	if err == nil {
		t.Fatal("it was served")
	}
	return err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// answer is a response that has been read.
type answer struct {
	status, proto int
	header        http.Header
	tls           *tls.ConnectionState
	body          string
}

// do sends one request on a connection of its own and reads the answer.
func do(t *testing.T, c *http.Client, method, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.ProtoMajor, resp.Header, resp.TLS, string(text)}
}

// roundTrip pushes an image and pulls it again.
func roundTrip(t *testing.T, addr string, options ...remote.Option) v1.Image {
	t.Helper()
	img, err := random.Image(2<<20, 3)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(fmt.Sprintf("%s/team/app:1", addr))
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, remote.WithContext(t.Context()))
	if err := remote.Write(ref, img, options...); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(ref, options...)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := img.Digest()
	if got, err := pulled.Digest(); err != nil || got != want {
		t.Fatalf("pulled %v (%v), want %v", got, err, want)
	}
	layers, err := pulled.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rc); err != nil { // verifies the digest
			t.Fatal(err)
		}
		rc.Close()
	}
	return pulled
}
