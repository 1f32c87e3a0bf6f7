package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/fault"
)

// challengePath is where validators look, under http://NAME (RFC 8555, 8.3).
const challengePath = "/.well-known/acme-challenge/"

// httpListener answers http-01 itself.
type httpListener struct {
	server *http.Server
	served chan error

	mu      sync.Mutex
	answers map[string]string // by token
}

func newHTTPListener(ctx context.Context, addr string) (*httpListener, error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	l := &httpListener{served: make(chan error, 1), answers: map[string]string{}}
	l.server = &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { l.served <- l.server.Serve(ln) }()
	return l, nil
}

// listen names who could be in the way.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fault.Fail("run regctl as root, listen on a port above 1023 with --challenge-addr and forward the port to it, or use --challenge dns-01",
			"the challenge cannot be answered on %s: %w", addr, err)
	}
	if err != nil {
		_, port, _ := net.SplitHostPort(addr)
		return nil, fault.Fail("free the port (`ss -ltnp 'sport = :"+port+"'` shows who has it), listen elsewhere with --challenge-addr and forward the port, or use --challenge dns-01",
			"the challenge cannot be answered on %s: %w", addr, err)
	}
	return ln, nil
}

func (l *httpListener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ours := strings.CutPrefix(r.URL.Path, challengePath)
	l.mu.Lock()
	answer := l.answers[token]
	l.mu.Unlock()
	if !ours || answer == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = fmt.Fprint(w, answer)
}

func (l *httpListener) present(_ context.Context, _, token, keyAuth string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[token] = keyAuth
	return nil
}

func (l *httpListener) ready(context.Context, legoacme.Authorization) error { return nil }

func (l *httpListener) cleanUp(_ context.Context, _, token, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answers, token)
	return nil
}

func (l *httpListener) close() error {
	err := l.server.Close()
	if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// webroot puts the answers where another server serves them.
type webroot struct{ folder string }

func (w *webroot) path(token string) string {
	return filepath.Join(w.folder, filepath.FromSlash(challengePath), token)
}

// present makes folders and file readable for all, whatever the umask: the server is
// another user.
func (w *webroot) present(_ context.Context, _, token, keyAuth string) error {
	if _, err := os.Stat(w.folder); err != nil {
		return fault.Fail("make the registry whole with `regctl apply`", "the challenge's folder: %w", err)
	}
	folder := w.folder
	for part := range strings.SplitSeq(strings.Trim(challengePath, "/"), "/") {
		folder = filepath.Join(folder, part)
		if err := os.Mkdir(folder, 0o755); err == nil {
			err = os.Chmod(folder, 0o755)
			if err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return replaceFile(w.path(token), []byte(keyAuth), 0o644, -1, -1)
}

func (w *webroot) ready(context.Context, legoacme.Authorization) error { return nil }

func (w *webroot) cleanUp(_ context.Context, _, token, _ string) error {
	return removeFile(w.path(token))
}

// close removes the folders that are empty; what others put there stays.
func (w *webroot) close() error {
	folder := filepath.Join(w.folder, filepath.FromSlash(challengePath))
	if os.Remove(folder) == nil {
		_ = os.Remove(filepath.Dir(folder))
	}
	return nil
}

// replaceFile puts a whole file in place at once.
func replaceFile(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	f, err := os.CreateTemp(filepath.Dir(path), fmt.Sprintf(".regctl-%d-*.tmp", os.Getpid()))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && (uid >= 0 || gid >= 0) {
		err = f.Chown(uid, gid)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
