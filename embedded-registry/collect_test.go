package embeddedregistry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/fault"
)

// collected counts garbage, collects it, and demands that the counts and the files
// say the same.
func collected(t *testing.T, s *served, untagged bool) Collected {
	t.Helper()
	readonly := filepath.Join(s.dir, "ctl", ReadonlyName)
	write(t, readonly, `{"nonce": "collected"}`)
	if w, ok := writesOf(t, s, "collected"); !ok || !w.Readonly || w.UnderWay != 0 {
		t.Fatalf("%+v %v", w, ok)
	}
	defer func() {
		if err := os.Remove(readonly); err != nil {
			t.Error(err)
		}
		if w, ok := writesOf(t, s, "collected"); !ok || w.Readonly {
			t.Errorf("%+v %v", w, ok)
		}
	}()
	o := CollectOptions{ConfigPath: filepath.Join(s.dir, "config.yml"), Untagged: untagged, DryRun: true}
	before := used(t, s)
	dry, err := Collect(t.Context(), o)
	if err != nil || used(t, s) != before {
		t.Fatalf("dry run: %v, %d bytes became %d", err, before, used(t, s))
	}
	o.DryRun = false
	done, err := Collect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if freed := before - used(t, s); dry != done || done.Bytes != freed {
		t.Errorf("counted %+v, removed %+v, and %d bytes went", dry, done, freed)
	}
	if again, err := Collect(t.Context(), o); err != nil || again != (Collected{}) {
		t.Errorf("the second time: %+v %v", again, err)
	}
	return done
}

// used is the size of all files in storage.
func used(t *testing.T, s *served) (size int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		size += info.Size()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return size
}

func refOf(t *testing.T, s *served, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(s.addr+"/"+ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pushes(t *testing.T, s *served, ref string, img v1.Image) {
	t.Helper()
	if err := remote.Write(refOf(t, s, ref), img); err != nil {
		t.Fatal(err)
	}
}

func image(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// whole pulls an image with all its blobs.
func whole(t *testing.T, s *served, ref string) error {
	t.Helper()
	img, err := remote.Image(refOf(t, s, ref))
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
	}
	_, err = img.RawConfigFile()
	return err
}

func TestCollect(t *testing.T) {
	s := serve(t, plain)
	if got, err := Collect(t.Context(), CollectOptions{ConfigPath: filepath.Join(s.dir, "config.yml")}); err != nil || got != (Collected{}) {
		t.Fatalf("of nothing: %+v %v", got, err)
	}
	kept, old := image(t), image(t)
	pushes(t, s, "a/app:1", kept)
	pushes(t, s, "a/app:2", old)
	pushes(t, s, "a/app:2", kept)                          // old has lost its tag
	pushes(t, s, "b/bare@"+digestOf(t, old), old)          // never tagged
	pushes(t, s, "c/app:1", image(t))                      // of another repository
	shared, err := mutate.AppendLayers(kept, last(t, old)) // one layer of old's is needed yet
	if err != nil {
		t.Fatal(err)
	}
	pushes(t, s, "d/app:1", shared)

	if got := collected(t, s, false); got != (Collected{}) {
		t.Errorf("without --untagged %+v went", got)
	}
	// Of old: its manifest, its config and two layers of three.
	if got := collected(t, s, true); got.Blobs != 4 || got.Manifests != 2 {
		t.Errorf("%+v", got)
	}
	for _, ref := range []string{"a/app:1", "a/app:2", "c/app:1", "d/app:1"} {
		if err := whole(t, s, ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := remote.Image(refOf(t, s, "b/bare@"+digestOf(t, old))); err == nil {
		t.Error("an untagged manifest is there yet")
	}
	// It can be collected again, and pushed again.
	collected(t, s, false)
	pushes(t, s, "b/bare:1", old)
	if err := whole(t, s, "b/bare:1"); err != nil {
		t.Error(err)
	}
}

// A manifest that lost its tag goes from its repository, though another one needs its
// blobs: whatever order they are gone through in, nothing is served without its layers.
func TestCollectUntaggedThatAnotherNeeds(t *testing.T) {
	for _, r := range []struct{ of, needs string }{{"a/app", "b/app"}, {"b/app", "a/app"}} {
		s := serve(t, plain)
		old, index := image(t), must(random.Index(100, 2, 2))
		pushes(t, s, r.of+":1", old)
		pushes(t, s, r.of+":1", image(t))
		pushes(t, s, r.needs+":1", old)
		if err := remote.WriteIndex(refOf(t, s, r.of+":index"), index); err != nil {
			t.Fatal(err)
		}
		if got := collected(t, s, true); got.Manifests != 1 || got.Blobs != 0 {
			t.Errorf("%s: %+v", r.of, got)
		}
		if err := whole(t, s, r.needs+":1"); err != nil {
			t.Error(err)
		}
		if got := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/"+r.of+"/manifests/"+digestOf(t, old)); got.status != http.StatusNotFound {
			t.Errorf("%s: what lost its tag: %d", r.of, got.status)
		}
		for _, one := range must(index.IndexManifest()).Manifests {
			if err := whole(t, s, r.of+"@"+one.Digest.String()); err != nil {
				t.Errorf("an image of an index: %v", err)
			}
		}
	}
}

// must gives what random images never fail to.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func last(t *testing.T, img v1.Image) v1.Layer {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return layers[len(layers)-1]
}

// An index keeps its images, which have no tags of their own.
func TestCollectKeepsAnIndexWhole(t *testing.T) {
	s := serve(t, plain)
	index, err := random.Index(1000, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(refOf(t, s, "a/multi:1"), index); err != nil {
		t.Fatal(err)
	}
	if got := collected(t, s, true); got != (Collected{}) {
		t.Errorf("%+v went", got)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if err := whole(t, s, "a/multi@"+d.Digest.String()); err != nil {
			t.Error(err)
		}
	}
}

// A blob that was collected is not said to be there, although the registry had it in
// mind: a push that counts on it is refused, and never ends in a manifest without it.
// One whose manifest came meanwhile waits, and is told the same in the end.
func TestCollectedBlobsAreForgotten(t *testing.T) {
	s := serve(t, plain+"health: {storagedriver: {enabled: true, interval: 5ms, threshold: 1}}\n")
	img, kept := image(t), image(t)
	pushes(t, s, "a/app:kept", kept)
	for _, l := range must(img.Layers()) {
		if err := remote.WriteLayer(refOf(t, s, "a/app:1").Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	layer := "http://" + s.addr + "/v2/a/app/blobs/" + must(last(t, img).Digest()).String()
	if got := do(t, http.DefaultClient, "HEAD", layer); got.status != http.StatusOK {
		t.Fatalf("before: %d", got.status)
	}
	readonly := filepath.Join(s.dir, "ctl", ReadonlyName)
	write(t, readonly, `{"nonce": "held"}`)
	wait(t, "the registry to be read-only", func() bool {
		w, _ := writesOf(t, s, "held")
		return w.Readonly
	})
	lost, again := make(chan result, 1), make(chan result, 1)
	go func() { lost <- putManifest(t, s, "a/app/manifests/1", img) }()
	go func() { again <- putManifest(t, s, "a/app/manifests/again", kept) }()
	wait(t, "both manifests to be held", func() bool {
		w, _ := writesOf(t, s, "held")
		return w == Writes{Readonly: true, Held: 2, Uncached: true}
	})
	collected(t, s, false)
	if got := do(t, http.DefaultClient, "HEAD", layer); got.status != http.StatusNotFound {
		t.Errorf("after: %d", got.status)
	}
	if got := <-again; got.status != http.StatusCreated {
		t.Errorf("a manifest whose blobs stayed: %d %s", got.status, got.body)
	}
	for _, got := range []result{<-lost, putManifest(t, s, "a/app/manifests/1", img)} {
		if got.status != http.StatusBadRequest && got.status != http.StatusNotFound || !strings.Contains(got.body, "BLOB_UNKNOWN") {
			t.Errorf("a manifest without its blobs: %d %s", got.status, got.body)
		}
	}
	pushes(t, s, "a/app:1", img)
	for _, ref := range []string{"a/app:1", "a/app:kept", "a/app:again"} {
		if err := whole(t, s, ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// What somebody made read-only by hand may stay so for long: a manifest is told at once.
func TestManifestIsNotHeldForLong(t *testing.T) {
	s := serve(t, plain)
	write(t, filepath.Join(s.dir, "ctl", ReadonlyName), "")
	wait(t, "the registry to be read-only", func() bool {
		return do(t, http.DefaultClient, "POST", "http://"+s.addr+"/v2/a/app/blobs/uploads/").status == http.StatusServiceUnavailable
	})
	begun := time.Now()
	if got := putManifest(t, s, "a/app/manifests/1", image(t)); got.status != http.StatusServiceUnavailable || time.Since(begun) > holdManifest/2 {
		t.Errorf("%d %s after %s", got.status, got.body, time.Since(begun))
	}
}

type result struct {
	status int
	body   string
}

func putManifest(t *testing.T, s *served, path string, img v1.Image) result {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.addr+"/v2/"+path, bytes.NewReader(must(img.RawManifest())))
	if err != nil {
		t.Error(err)
		return result{}
	}
	req.Header.Set("Content-Type", string(must(img.MediaType())))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return result{}
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return result{resp.StatusCode, string(body)}
}

// Writes that have begun are counted until they end, and none is let in after.
func TestWritesUnderWayAreCounted(t *testing.T) {
	s := serve(t, plain)
	body, sender := io.Pipe()
	started := do(t, http.DefaultClient, "POST", "http://"+s.addr+"/v2/a/app/blobs/uploads/")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, started.header.Get("Location"), body)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		done <- err
	}()
	if _, err := sender.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "ctl", ReadonlyName), `{"nonce": "n"}`)
	var w Writes
	wait(t, "the upload to count", func() bool {
		w, _ = writesOf(t, s, "n")
		return w == Writes{Readonly: true, UnderWay: 1, Uncached: true}
	})
	if got := do(t, http.DefaultClient, "POST", "http://"+s.addr+"/v2/a/app/blobs/uploads/"); got.status != http.StatusServiceUnavailable {
		t.Errorf("another is let in: %d", got.status)
	}
	_ = sender.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wait(t, "the upload to end", func() bool {
		w, _ = writesOf(t, s, "n")
		return w == Writes{Readonly: true, Uncached: true}
	})
	if _, ok := writesOf(t, s, "m"); ok {
		t.Error("a wrong nonce is answered")
	}
	if _, ok := writesOf(t, s, ""); ok {
		t.Error("no nonce is answered")
	}
}

func writesOf(t *testing.T, s *served, nonce string) (w Writes, ok bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+ReadonlyPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(ReadonlyHeader, nonce)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return w, resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&w) == nil
}

func TestWhatCannotBeCollected(t *testing.T) {
	const start = "version: 0.1\nhttp: {addr: ':5000'}\n"
	for what, c := range map[string]struct {
		config        string
		stop, refused bool
	}{
		"plain":    {start + "storage: {filesystem: {}, cache: {blobdescriptor: inmemory}}\n", false, false},
		"inmemory": {start + "storage: {inmemory: {}}\n", false, true},
		"redis":    {start + "storage: {filesystem: {}, cache: {blobdescriptor: redis}}\nredis: {addrs: ['localhost:1']}\n", false, false},
		"mirror":   {start + "storage: {filesystem: {}}\nproxy: {remoteurl: 'https://registry-1.docker.io'}\n", true, false},
	} {
		stop, err := CheckCollect([]byte(c.config))
		if stop != c.stop || fault.IsUsage(err) != c.refused || (err != nil) != c.refused {
			t.Errorf("%s: %v %v", what, stop, err)
		}
	}
}
