package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testpebble"
)

// TestRenewUnderLoad renews the certificate again and again under 8 workers that push
// and pull without pause: 4 of a Docker Engine that asks for a certificate, 4 that
// speak HTTP. Nothing fails, nothing restarts, and all come to see the last leaf.
func TestRenewUnderLoad(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")
	for _, by := range []string{"docker", "process", "nginx"} {
		t.Run(by, func(t *testing.T) {
			r := newRun(t, bin, "load-"+by)
			r.must(t, append([]string{"init", "--host", "registry.test", "--port", r.port}, servedBy(t, by)...)...)
			ca := read(t, filepath.Join(r.dir, "certs", "ca.crt"))
			write(t, filepath.Join(client.Etc, "docker", "certs.d", "registry.test:"+r.port, "ca.crt"), string(ca))
			renewUnderLoad(t, r, client.Sock, ca)
		})
	}
}

// servedBy is what init is told to have a registry served by a runtime, or as a container
// behind an nginx of the test's own.
func servedBy(t *testing.T, by string) []string {
	t.Helper()
	if by != "nginx" {
		return []string{"--runtime", by}
	}
	proxytest.Start(t, proxy.Nginx)
	return []string{"--runtime", "docker", "--proxy", by}
}

// TestRenewUnderLoadByACME is the same where an ACME server signs, and asks the
// running registry itself for proof.
func TestRenewUnderLoadByACME(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "load-acme-"+runtime)
		port, err := strconv.Atoi(r.port)
		if err != nil {
			t.Fatal(err)
		}
		ca := testpebble.New(t, testpebble.Options{Addr: "127.0.0.1", TLSPort: port, ReuseAuthz: -1})
		a := newACME(t, r, ca, "--runtime", runtime, "--challenge", "tls-alpn-01", "--challenge-forwarded")
		a.must(t, a.args...)
		write(t, filepath.Join(client.Etc, "docker", "certs.d", "registry.test:"+r.port, "ca.crt"), string(ca.Root(0)))
		renewUnderLoad(t, r, client.Sock, ca.Root(0))
	})
}

const renewals = 4

func renewUnderLoad(t *testing.T, r *run, sock string, ca []byte) {
	crew := &crew{run: r, sock: sock, roots: x509.NewCertPool()}
	crew.roots.AppendCertsFromPEM(ca)
	before := r.life(t)
	stop := crew.start(t)
	for range renewals {
		crew.round(t)
		r.must(t, "cert", "renew", "--force")
	}
	crew.round(t)
	stop()
	if after := r.life(t); after != before {
		t.Errorf("%s became %s: it was restarted", before, after)
	}
	crew.seeLeaf(t)
}

// seeLeaf has every worker connect anew, and demands that it sees the leaf on disk.
func (c *crew) seeLeaf(t *testing.T) {
	t.Helper()
	leaf, err := pki.Inspect(read(t, filepath.Join(c.run.dir, "certs", "domain.crt")))
	if err != nil {
		t.Fatal(err)
	}
	var done []int64
	for _, w := range c.workers {
		done = append(done, w.done.Load())
		w.anew()
		if err := w.once(t.Context()); err != nil {
			t.Error(err)
		}
		if w.leaf != "" && w.leaf != leaf.Fingerprint {
			t.Errorf("a worker sees the leaf %s, want %s", w.leaf, leaf.Fingerprint)
		}
	}
	t.Logf("pushes and pulls of each worker: %v; connections tried again: %d", done, c.retries.Load())
}

// life tells one life of what serves from another.
func (r *run) life(t *testing.T) string {
	t.Helper()
	if ids := r.containers(t); len(ids) > 0 {
		c := r.started(t, "")
		return c.id + " " + c.at
	}
	return strings.TrimSpace(string(read(t, filepath.Join(r.dir, "process.pid"))))
}

// crew is the workers of one registry.
type crew struct {
	*run
	sock    string
	roots   *x509.CertPool
	workers []*worker
	retries atomic.Int64
}

type worker struct {
	once func(context.Context) error // one push and one pull
	anew func()                      // forgets connections that are kept
	done atomic.Int64
	leaf string // the fingerprint that its last request saw; "" of those who cannot tell
}

// start sets 8 workers to work. stop has them end what they are at.
func (c *crew) start(t *testing.T) (stop func()) {
	for i := range 4 {
		raw := &worker{}
		http := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			DisableKeepAlives: i%2 == 0,
			TLSClientConfig:   &tls.Config{RootCAs: c.roots, ServerName: "registry.test"},
		}}
		raw.once = func(ctx context.Context) error { return c.raw(ctx, raw, http) }
		raw.anew = http.CloseIdleConnections
		engine := &worker{anew: func() {}, once: func(context.Context) error {
			p, err := push(c.sock, fmt.Sprintf("registry.test:%s/%s-%d", c.port, c.name, i))
			if err == nil {
				err = p.pull(c.sock)
			}
			return err
		}}
		c.workers = append(c.workers, raw, engine)
	}
	return c.work(t)
}

// work sets the workers to work. stop has them end what they are at.
func (c *crew) work(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, w := range c.workers {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := w.once(t.Context()); err != nil {
					t.Error(err)
				}
				w.done.Add(1)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// round waits until each worker has finished a push and a pull that began after now.
func (c *crew) round(t *testing.T) {
	t.Helper()
	want := make([]int64, len(c.workers))
	for i, w := range c.workers {
		want[i] = w.done.Load() + 2
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); ; <-tick.C {
		waiting := 0
		for i, w := range c.workers {
			if w.done.Load() < want[i] {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d workers do not get on", waiting)
		}
	}
}

// raw pushes a blob in two requests and reads it back.
func (c *crew) raw(ctx context.Context, w *worker, client *http.Client) error {
	content := make([]byte, 256<<10)
	_, _ = rand.Read(content)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	base := "https://127.0.0.1:" + c.port
	begun, err := c.try(ctx, client, http.MethodPost, base+"/v2/"+c.name+"/blobs/uploads/", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	if _, err = c.try(ctx, client, http.MethodPut, begun.location+"&digest="+digest, content, http.StatusCreated); err != nil {
		return err
	}
	got, err := c.try(ctx, client, http.MethodGet, base+"/v2/"+c.name+"/blobs/"+digest, nil, http.StatusOK)
	if err != nil {
		return err
	}
	if !bytes.Equal(got.body, content) {
		return fmt.Errorf("%s came back with %d other bytes", digest, len(got.body))
	}
	w.leaf = got.leaf
	return nil
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// answer is what came back, and the fingerprint of the leaf that was seen.
type answer struct {
	location, leaf string
	body           []byte
}

// try does one request, and once more if it had a connection that was closed before
// the first byte of an answer: a server may close a kept one just as it is used again.
func (c *crew) try(ctx context.Context, client *http.Client, method, url string, body []byte, want int) (a answer, err error) {
	for again := false; ; again = true {
		var connected, answered atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn:              func(httptrace.GotConnInfo) { connected.Store(true) },
			GotFirstResponseByte: func() { answered.Store(true) },
		})
		req, err := http.NewRequestWithContext(traced, method, url, bytes.NewReader(body))
		if err != nil {
			return a, err
		}
		resp, err := client.Do(req)
		if err != nil && !again && connected.Load() && !answered.Load() {
			c.retries.Add(1)
			continue
		}
		if err != nil {
			return a, err
		}
		a.location, a.leaf = resp.Header.Get("Location"), fingerprint(resp.TLS.PeerCertificates[0])
		a.body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != want {
			err = fmt.Errorf("%s %s: %s", method, url, resp.Status)
		}
		return a, err
	}
}
