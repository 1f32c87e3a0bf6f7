package main_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// TestKilledRotate kills cert rotate-ca at random moments, with a client and its Docker.
// At no moment is a pair on disk or in service whose parts do not fit, and in between the
// client can pull; the same command again finishes.
func TestKilledRotate(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker))
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	start := time.Now()
	f.rotate(t, 0)
	whole := time.Since(start)

	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- f.watchService(ctx) }()
	phases := map[string]int{}
	for range 20 {
		was := f.ca(t)
		moment := f.killedAt(t, whole, "cert", "rotate-ca", "--yes")
		phase := "none"
		for name, file := range map[string]string{"withdrawing": "old-ca.crt", "spreading": "next-ca.crt"} {
			if _, err := os.Stat(filepath.Join(f.dir, "certs", file)); err == nil {
				phase = name
			}
		}
		phases[phase]++
		f.over(t, 0, "clients check").all(t, 1, "unchanged", "docker pull")
		f.rotate(t, 0)
		if now := f.ca(t); now == was {
			t.Fatalf("killed after %v: the CA is the old one", moment)
		}
		f.noHalfFile(t)
		f.settledDown(t)
		if left, _ := filepath.Glob(filepath.Join(f.dir, "serve", "tls", "*")); len(left) != 2 {
			t.Fatalf("killed after %v: %v, want one pair and the link to it", moment, left)
		}
	}
	stop()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	t.Logf("killed in the phases %v, of a whole that takes %v", phases, whole)
	f.over(t, 0, "clients check").all(t, 1, "unchanged", "docker pull")
	f.over(t, 0, "untrust-clients", "--all").all(t, 1, "changed", "")
	f.must(t, "destroy", "--yes")
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("destroy left %s: %v", f.dir, err)
	}
}

// watchService looks at the pair on disk and has a handshake with the one in service,
// over and over until ctx is done: a handshake fails when the key does not fit.
func (r *run) watchService(ctx context.Context) error {
	return r.watch(ctx, 5*time.Millisecond, &tls.Config{InsecureSkipVerify: true, ServerName: "registry.test"})
}
