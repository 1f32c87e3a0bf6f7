package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestClusterGrows goes from one registry to three, to two and back to one, without a
// Redis, while engines pull through the proxy all along: no pull fails, and of a registry
// that is wanted no more nothing is left. The garbage of two is collected.
func TestClusterGrows(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin := build(t)
	proxytest.Start(t, proxy.Nginx)
	c := &clusterRun{run: newRun(t, bin, "clgrow")}
	c.must(t, "init", "--tls", "none", "--host", "127.0.0.1", "--proxy", "nginx", "--port", c.port, "--runtime", "docker")
	c.change(t, "# config:", "replicas: 1\n# config:")
	pulling := &crew{run: c.run}
	for range 3 {
		kept := c.pushed(t, "")
		pulling.workers = append(pulling.workers, &worker{anew: func() {}, once: func(context.Context) error { return kept.pull("") }})
	}
	stop := pulling.work(t)
	now := 1
	for _, next := range []int{3, 2, 1} {
		c.change(t, fmt.Sprintf("replicas: %d", now), fmt.Sprintf("replicas: %d", next))
		c.must(t, "apply")
		now = next
		c.counts(t, now)
		pulling.round(t)
		if now == 2 {
			c.collectsOfTwo(t)
		}
	}
	stop()
	c.must(t, "destroy", "--yes")
	c.counts(t, 0)
}

// counts demands that there are so many containers and folders of sockets.
func (c *clusterRun) counts(t *testing.T, want int) {
	t.Helper()
	ids := strings.Fields(enginetest.Docker(t, "", "ps", "-aq", "--filter", "label=io.regctl.registry="+c.name))
	folders, err := filepath.Glob("/var/lib/regctl-proxy/" + c.name + "*")
	if err != nil || len(ids) != want || len(folders) != want {
		t.Errorf("%d containers, sockets in %v, %v; want %d", len(ids), folders, err, want)
	}
	if want == 0 {
		return
	}
	if found := c.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan with %d:\n%s", want, found)
	}
	if s := c.clusterStatus(t); s.State != "running" || !s.Healthy || want > 1 && s.Replicas != want {
		t.Errorf("status with %d: %+v", want, s)
	}
}

// collectsOfTwo has gc wait for an upload to either registry, and neither take another
// meanwhile. What went is known to neither after.
func (c *clusterRun) collectsOfTwo(t *testing.T) {
	t.Helper()
	lost := bytes.Repeat([]byte("lost"), 64<<10)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(lost))
	begin := func(n, want int) (location string) {
		location, _ = send(t, c.replica(n), http.MethodPost, "http://registry/v2/a/app/blobs/uploads/", nil, want)
		return location
	}
	at, _ := send(t, c.replica(1), http.MethodPatch, begin(1, http.StatusAccepted), lost, http.StatusAccepted)
	send(t, c.replica(2), http.MethodPut, at+"&digest="+digest, nil, http.StatusCreated)

	var uploads []*upload
	for n := range 2 {
		uploads = append(uploads, uploadTo(t, c.replica(n+1), begin(n+1, http.StatusAccepted)))
	}
	gc := c.command("gc", "--yes")
	var said bytes.Buffer
	gc.Stdout, gc.Stderr = &said, &said
	if err := gc.Start(); err != nil {
		t.Fatal(err)
	}
	c.awaitRefused(t)
	for n := range 2 {
		begin(n+1, http.StatusServiceUnavailable)
		send(t, c.replica(n+1), http.MethodHead, "http://registry/v2/a/app/blobs/"+digest, nil, http.StatusOK)
	}
	for _, u := range uploads {
		_ = u.body.Close()
		if err := <-u.done; err != nil {
			t.Error(err)
		}
	}
	if err := gc.Wait(); err != nil || !strings.Contains(said.String(), "waiting for pushes to end (") {
		t.Errorf("gc: %v\n%s", err, said.String())
	}
	for n := range 2 {
		send(t, c.replica(n+1), http.MethodHead, "http://registry/v2/a/app/blobs/"+digest, nil, http.StatusNotFound)
		begin(n+1, http.StatusAccepted)
	}
	// What went of the files is what it said.
	if err := pushAnother("127.0.0.1:" + c.port + "/a/app:1"); err != nil {
		t.Fatal(err)
	}
	if err := pushAnother("127.0.0.1:" + c.port + "/a/app:1"); err != nil {
		t.Fatal(err)
	}
	before := c.used(t)
	dry, done := c.run.gc(t, "--untagged", "--dry-run"), c.run.gc(t, "--untagged", "--yes")
	if freed := before - c.used(t); dry != done || done.Bytes != freed || done.Blobs != 3 || done.Manifests != 1 {
		t.Errorf("counted %+v, removed %+v, and %d bytes went", dry, done, freed)
	}
}

// awaitRefused waits until both registries take no more writes.
func (c *clusterRun) awaitRefused(t *testing.T) {
	t.Helper()
	for n := range 2 {
		until(t, fmt.Sprintf("registry %d refuses writes", n+1), func() bool {
			resp, err := c.replica(n+1).Post("http://registry/v2/a/app/blobs/uploads/", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusServiceUnavailable
		})
	}
}
