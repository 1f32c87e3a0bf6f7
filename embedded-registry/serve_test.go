package embeddedregistry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/fault"
)

func TestPushAndPull(t *testing.T) {
	s := serve(t, plain)
	roundTrip(t, s.addr)
	if resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/"); resp.status != 200 {
		t.Errorf("/: %d", resp.status)
	}
	for _, path := range []string{"/debug/health", "/debug/vars", "/debug/pprof/", "/metrics"} {
		if resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+path); resp.status != 404 {
			t.Errorf("%s: %d: it belongs to a mux of the process, not to the registry", path, resp.status)
		}
	}
	if got := s.log.String(); got != "" {
		t.Errorf("not quiet: %s", got)
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "u") //nolint:usetesting // short: a socket's path holds 104 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	config := base + "http: {net: unix, addr: " + socket + ", secret: s}\n"
	dialer := remote.WithTransport(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}})
	// A dead process' socket is replaced.
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	s := serve(t, config)
	roundTrip(t, "localhost:1", dialer)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v: want mode 0660", info, err)
	}
	if err := refusal(t, config); !strings.Contains(err.Error(), "another process answers") {
		t.Error(err)
	}
	s.stop(t)

	write(t, socket, "something else")
	if err := refusal(t, config); !strings.Contains(err.Error(), "is not a socket") {
		t.Error(err)
	}
}

// Two at once, then one after the other, all in this process.
func TestServeAgain(t *testing.T) {
	withHealth := plain + "health: {storagedriver: {enabled: true, interval: 1s}}\n"
	a, b := serve(t, withHealth), serve(t, withHealth)
	roundTrip(t, a.addr)
	roundTrip(t, b.addr)
	a.stop(t)
	roundTrip(t, b.addr)
	b.stop(t)
	roundTrip(t, serve(t, withHealth).addr)
}

func TestGivenListenerAndData(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	s := serve(t, "not used", func(dir string, o *Options) {
		o.Listener = ln
		o.ConfigData = []byte(strings.ReplaceAll(plain, "DIR", "/elsewhere"))
		o.Rewrite = func(path string) string {
			asked = append(asked, path)
			return filepath.Join(dir, path)
		}
	})
	if s.addr != ln.Addr().String() {
		t.Errorf("serves %s", s.addr)
	}
	roundTrip(t, s.addr)
	if _, err := os.Stat(filepath.Join(s.dir, "elsewhere/data/docker")); err != nil {
		t.Errorf("rootdirectory was not rewritten: %v (asked for %q)", err, asked)
	}
}

// An upload that has begun ends well, new connections are refused, then Serve returns.
func TestDrain(t *testing.T) {
	s := serve(t, plain)
	resp := do(t, http.DefaultClient, "POST", "http://"+s.addr+"/v2/app/blobs/uploads/")
	if resp.status != http.StatusAccepted {
		t.Fatal(resp.status)
	}
	data := bytes.Repeat([]byte("drain"), 1<<20)
	url := fmt.Sprintf("%s&digest=sha256:%x", resp.header.Get("Location"), sha256.Sum256(data))
	body, feed := io.Pipe()
	status := make(chan string, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, body)
		if err != nil {
			status <- err.Error()
			return
		}
		req.ContentLength = int64(len(data))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- err.Error()
			return
		}
		resp.Body.Close()
		status <- resp.Status
	}()
	half := len(data) / 2
	if _, err := feed.Write(data[:half]); err != nil {
		t.Fatal(err)
	}
	wait(t, "the registry to store the first half", func() bool {
		files, _ := filepath.Glob(filepath.Join(s.dir, "data/docker/registry/v2/repositories/app/_uploads/*/data"))
		if len(files) != 1 {
			return false
		}
		fi, err := os.Stat(files[0])
		return err == nil && fi.Size() > 0
	})
	s.cancel()
	wait(t, "the listener to close", func() bool {
		c, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-s.done:
		t.Fatalf("stopped in the middle of an upload: %v", err)
	default:
	}
	if _, err := feed.Write(data[half:]); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != "201 Created" {
		t.Errorf("the upload ended with %s", got)
	}
	s.stop(t)
}

func TestDrainHasAnEnd(t *testing.T) {
	s := serve(t, base+"http: {addr: '127.0.0.1:0', secret: s, draintimeout: 50ms}\n")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// Not all of a request's head: it never ends by itself.
	if _, err := io.WriteString(c, "123456789PUT / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
}

func TestMissingHtpasswd(t *testing.T) {
	err := refusal(t, plain+"auth: {htpasswd: {realm: r, path: DIR/htpasswd}}\n")
	if text := err.Error(); !strings.Contains(text, "auth.htpasswd.path") || !strings.Contains(text, "/htpasswd: no such file") || fault.Hint(err) == "" {
		t.Errorf("%v (hint %q)", err, fault.Hint(err))
	}
}

func TestHtpasswdIsNotMadeUp(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "htpasswd")
	_ = refusal(t, plain+"auth: {htpasswd: {realm: r, path: "+file+"}}\n")
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("%s is there (%v)", file, err)
	}
}

// What NewApp panics on, past what Check knows, is an error.
func TestAppRefuses(t *testing.T) {
	for name, config := range map[string]string{
		"token without a root": plain + "auth: {token: {realm: 'http://x', service: s, issuer: i, rootcertbundle: DIR/none}}\n",
		"no addr":              base,
		"bad regexp":           plain + "validation: {manifests: {urls: {allow: ['(']}}}\n",
		"maxthreads":           strings.Replace(plain, "DIR/data", "DIR/data, maxthreads: many", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := refusal(t, config); !fault.IsUsage(err) || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}
}

// A stray environment, such as Kubernetes sets beside a service named registry,
// changes nothing but a warning.
func TestEnvironmentIsIgnored(t *testing.T) {
	t.Setenv("REGISTRY_PORT", "tcp://10.0.0.1:5000")
	t.Setenv("REGISTRY_HTTP_ADDR", "192.0.2.1:1")
	t.Setenv("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/nowhere")
	s := serve(t, plain)
	roundTrip(t, s.addr)
	if got := s.log.String(); !strings.Contains(got, "REGISTRY_HTTP_ADDR, REGISTRY_PORT, REGISTRY_STORAGE") {
		t.Errorf("no warning: %s", got)
	}
}

func TestMadeUpSecret(t *testing.T) {
	s := serve(t, base+"http: {addr: '127.0.0.1:0'}\n")
	roundTrip(t, s.addr)
	if got := s.log.String(); !strings.Contains(got, "no http.secret") || strings.Contains(got, "REGISTRY_HTTP_SECRET") {
		t.Errorf("log: %s", got)
	}
}

func TestPrefixHeadersAndReadonly(t *testing.T) {
	s := serve(t, `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: DIR/data}, maintenance: {readonly: {enabled: true}}}
http: {addr: '127.0.0.1:0', secret: s, prefix: /reg/, headers: {X-Content-Type-Options: [nosniff]}}
`)
	resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/reg/v2/")
	if resp.status != http.StatusOK || resp.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", resp.status, resp.header)
	}
	resp = do(t, http.DefaultClient, "POST", "http://"+s.addr+"/reg/v2/app/blobs/uploads/")
	if resp.status != http.StatusMethodNotAllowed {
		t.Errorf("readonly: %d", resp.status)
	}
}

// The purger waits for up to an hour before it begins, so its word must do.
func TestUploadPurgingRuns(t *testing.T) {
	s := serve(t, strings.Replace(plain, "level: warn", "level: info", 1))
	wait(t, "the purger's line in the log", func() bool { return strings.Contains(s.log.String(), "Starting upload purge in") })
}
