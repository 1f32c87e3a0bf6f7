package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testredis"
	"github.com/regctl/regctl/internal/tests3"
)

// TestClusterInS3 has two registries behind nginx keep their images in a bucket, to which
// they send those who pull, and what they know of them in a Redis that speaks TLS; and
// collects their garbage, which that Redis must forget.
func TestClusterInS3(t *testing.T) {
	testenv.Need(t, "root", "docker", "redis-server")
	bin := build(t)
	cache, bucket := testredis.StartTLS(t, bridge(t)), tests3.New(t, bridge(t))
	proxytest.Start(t, proxy.Nginx)
	c := &bucketCluster{&clusterRun{run: newRun(t, bin, "cs3"), cache: cache}, bucket}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("accesskey="+tests3.AccessKey+"\nsecretkey="+tests3.SecretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(t, "init", "--tls", "none", "--host", "127.0.0.1", "--proxy", "nginx", "--port", c.port, "--runtime", "docker", "--replicas", "2",
		"--redis", "rediss://"+cache.Addr, "--redis-password-file", cache.PasswordFile, "--redis-ca", cache.CA,
		"--storage", "s3", "--storage-opt", "bucket="+tests3.Bucket, "--storage-opt", "regionendpoint="+bucket.URL, "--storage-secret-file", keys,
		"--set", "storage.delete.enabled=true", "--set", "storage.redirect.disable=false")
	kept := c.pushed(t, "")
	c.crossesOver(t)

	image := c.loses(t)
	lost := image.layer
	c.keepsWithoutRedis(t)
	stop := c.asks(t, lost)
	c.collects(t)
	stop()
	if known := strings.Join(cache.Keys(t), " "); strings.Contains(known, lost) || !strings.Contains(known, "::blobs") {
		t.Errorf("%s went, and the Redis knows of %s", lost, known)
	}
	for n := range 2 {
		send(t, c.replica(n+1), http.MethodHead, c.blob(lost), nil, http.StatusNotFound)
	}
	c.pulled(t, "", kept)
	c.pushesAgain(t, image)
	c.must(t, "destroy", "--yes")
}

type bucketCluster struct {
	*clusterRun
	bucket *tests3.Server
}

// losing is an image whose digests the test knows.
type losing struct {
	name.Reference
	image           v1.Image
	manifest, layer string // digests
}

func (c *bucketCluster) blob(digest string) string {
	return "http://registry/v2/" + c.name + "/blobs/" + digest
}

// loses pushes an image and deletes its manifest: its layer, which both registries and
// the Redis know of, is garbage then.
func (c *bucketCluster) loses(t *testing.T) (pushed losing) {
	t.Helper()
	image, err := random.Image(1<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference("127.0.0.1:"+c.port+"/"+c.name+":lost", name.Insecure)
	if err == nil {
		err = remote.Write(ref, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	pushed = losing{ref, image, manifest.String(), digest.String()}
	c.whole(t, pushed)
	send(t, c.replica(1), http.MethodDelete, "http://registry/v2/"+c.name+"/manifests/"+manifest.String(), nil, http.StatusAccepted)
	send(t, c.replica(2), http.MethodGet, "http://registry/v2/"+c.name+"/manifests/lost", nil, http.StatusNotFound)
	send(t, c.replica(2), http.MethodHead, c.blob(digest.String()), nil, http.StatusOK)
	if known := strings.Join(c.cache.Keys(t), " "); !strings.Contains(known, digest.String()) {
		t.Errorf("the Redis knows of %s alone", known)
	}
	return pushed
}

// keepsWithoutRedis demands that nothing goes while the Redis lets nobody in.
func (c *bucketCluster) keepsWithoutRedis(t *testing.T) {
	t.Helper()
	client, before := c.cache.Client(t), c.bucket.Bytes()
	password := func(is string) {
		if err := client.ConfigSet(context.Background(), "requirepass", is).Err(); err != nil {
			t.Fatal(err)
		}
	}
	password("another")
	out, err := c.command("gc", "--yes").CombinedOutput()
	password(c.cache.Password)
	if err == nil || !strings.Contains(string(out), "nothing was removed, for the Redis at "+c.cache.Addr) || !strings.Contains(string(out), "hint: mend the password") {
		t.Errorf("gc: %v\n%s", err, out)
	}
	if after := c.bucket.Bytes(); after != before {
		t.Errorf("%d bytes became %d", before, after)
	}
}

// asks has both registries asked for a blob all along, which each time they would
// remember.
func (c *bucketCluster) asks(t *testing.T, digest string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range 4 {
		client := c.replica(1 + n%2)
		all.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, c.blob(digest), nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// collects demands that what is counted goes, to the byte.
func (c *bucketCluster) collects(t *testing.T) {
	t.Helper()
	before := c.bucket.Bytes()
	dry, done := c.gc(t, "--dry-run"), c.gc(t, "--yes")
	if freed := before - c.bucket.Bytes(); dry != done || done.Bytes != freed || done.Blobs < 3 || freed < 1<<20 {
		t.Errorf("counted %+v, removed %+v, and %d bytes went", dry, done, freed)
	}
	if again := c.gc(t, "--yes"); again != (gcCounts{}) {
		t.Errorf("the second time %+v went", again)
	}
}

type gcCounts struct {
	Bytes                   int64
	Blobs, Manifests, Links int
}

// gc runs gc and gives what it says was freed, or would be.
func (r *run) gc(t *testing.T, args ...string) (found gcCounts) {
	t.Helper()
	cmd := r.command(append([]string{"gc", "-o", "json"}, args...)...)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatalf("gc %v: %v\n%s", args, err, out)
	}
	return found
}

// pushesAgain pushes what went: no registry takes a blob for there that is not.
func (c *bucketCluster) pushesAgain(t *testing.T, lost losing) {
	t.Helper()
	if err := remote.Write(lost, lost.image); err != nil {
		t.Fatal(err)
	}
	c.whole(t, lost)
}

// whole has each registry send the manifest, and send on to the layer.
func (c *bucketCluster) whole(t *testing.T, image losing) {
	t.Helper()
	for n := range 2 {
		for url, digest := range map[string]string{
			"http://registry/v2/" + c.name + "/manifests/lost": image.manifest, c.blob(image.layer): image.layer,
		} {
			_, got := send(t, c.replica(n+1), http.MethodGet, url, nil, http.StatusOK)
			if fmt.Sprintf("sha256:%x", sha256.Sum256(got)) != digest {
				t.Errorf("%s is not %s, but %d other bytes", url, digest, len(got))
			}
		}
	}
}
