package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKilledRenew kills cert renew at random moments. At no moment is a pair on disk
// or in service whose parts do not fit; the same command again finishes.
func TestKilledRenew(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "killed-renew-"+runtime)
		r.must(t, "init", "--host", "registry.test", "--runtime", runtime, "--port", r.port)
		start := time.Now()
		r.must(t, "cert", "renew", "--force")
		whole := time.Since(start)

		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan error, 1)
		go func() { watched <- r.watchPair(ctx) }()
		for range 20 {
			moment := r.killedAt(t, whole, "cert", "renew", "--force")
			r.must(t, "cert", "renew")
			r.must(t, "cert", "show") // a pair, and it is served
			r.noHalfFile(t)
			if out := r.must(t, "plan"); !strings.Contains(out, "nothing to do") {
				t.Fatalf("killed after %v: plan after cert renew:\n%s", moment, out)
			}
			if left, _ := filepath.Glob(filepath.Join(r.dir, "serve", "tls", "*")); len(left) != 2 {
				t.Fatalf("killed after %v: %v, want one pair and the link to it", moment, left)
			}
		}
		stop()
		if err := <-watched; err != nil {
			t.Error(err)
		}
		r.must(t, "destroy", "--yes")
		if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
			t.Errorf("destroy left %s: %v", r.dir, err)
		}
	})
}

// watchPair looks at the pair on disk and at the one in service, over and over
// until ctx is done, and returns what was wrong with either.
func (r *run) watchPair(ctx context.Context) error {
	ca, err := os.ReadFile(filepath.Join(r.dir, "certs", "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return r.watch(ctx, time.Millisecond, &tls.Config{RootCAs: roots, ServerName: "registry.test"})
}

// watch does so every so often; the handshake goes by config.
func (r *run) watch(ctx context.Context, every time.Duration, config *tls.Config) error {
	dialer := tls.Dialer{Config: config}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.pairOnDisk(); err != nil {
			return err
		}
		conn, err := dialer.DialContext(ctx, "tcp", "127.0.0.1:"+r.port)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// pairOnDisk loads the pair that the link names, unless the link changes meanwhile.
func (r *run) pairOnDisk() error {
	link := filepath.Join(r.dir, "serve", "tls", "current")
	folder, err := os.Readlink(link)
	if err != nil {
		return err
	}
	at := filepath.Join(filepath.Dir(link), folder)
	_, err = tls.LoadX509KeyPair(filepath.Join(at, "crt"), filepath.Join(at, "key"))
	if now, _ := os.Readlink(link); now != folder {
		return nil
	}
	return err
}
