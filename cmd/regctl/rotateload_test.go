package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// TestRotateUnderLoad replaces the CA of 5 hosts again and again under 8 workers that
// push and pull without pause: 4 are the Docker of a host each, 4 speak HTTP and trust
// what the fifth host trusts at the time. Nothing fails, nothing restarts, and all come
// to see the last leaf.
func TestRotateUnderLoad(t *testing.T) {
	for _, by := range []string{"docker", "process", "nginx"} {
		t.Run(by, func(t *testing.T) { rotateUnderLoad(t, servedBy(t, by)...) })
	}
}

func rotateUnderLoad(t *testing.T, served ...string) {
	f := newFleetRun(t, testfleet.Hosts(5, testfleet.Docker), served...)
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names()).all(t, 5, "changed", "docker pull")
	crew := &crew{run: f.run}
	for i, h := range f.fleet.Hosts()[:4] {
		name := fmt.Sprintf("load-%d", i)
		crew.workers = append(crew.workers, f.rawWorker(crew, i%2 == 0), &worker{anew: func() {}, once: func(context.Context) error {
			if err := f.pushFrom(h, name); err != nil {
				return err
			}
			return f.pullOn(h, name)
		}})
	}
	before := f.life(t)
	stop := crew.work(t)
	for range 2 {
		crew.round(t)
		if r := f.rotate(t, 0); r.Phase != "done" {
			t.Errorf("%+v", r)
		}
	}
	crew.round(t)
	stop()
	if after := f.life(t); after != before {
		t.Errorf("%s became %s: it was restarted", before, after)
	}
	crew.seeLeaf(t)
	f.settledDown(t)
}

// rawWorker speaks HTTP and reads before each turn, as Docker does, what its host trusts.
func (f fleetRun) rawWorker(c *crew, keep bool) *worker {
	w := &worker{}
	h, placed := f.fleet.Host(4), "/etc/docker/certs.d/"+f.address()+"/ca.crt"
	var trusted string
	client := &http.Client{Timeout: time.Minute}
	w.anew = client.CloseIdleConnections
	w.once = func(ctx context.Context) error {
		now, err := h.Exec("cat " + placed)
		if err != nil {
			return err
		}
		if now != trusted {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM([]byte(now))
			client.CloseIdleConnections()
			client.Transport = &http.Transport{
				DisableKeepAlives: !keep,
				TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: testfleet.RegistryName},
			}
			trusted = now
		}
		return c.raw(ctx, w, client)
	}
	return w
}
