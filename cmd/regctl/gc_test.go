package main_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/testenv"
)

// anyCertificate is for what is not about trust.
var anyCertificate = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}

// overtag FILE: pushes another image under the tag of one that push pushed, which so
// becomes garbage.
func overtag(ts *testscript.TestScript, _ bool, args []string) {
	tag, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Check(pushAnother(tag))
}

func pushAnother(tag string) error {
	ref, err := name.ParseReference(tag, name.Insecure)
	if err != nil {
		return err
	}
	img, err := random.Image(1000, 1)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithTransport(anyCertificate))
}

// stockCollects has a stock registry stopped for gc, and started again.
func (r *run) stockCollects(t *testing.T) {
	t.Helper()
	lost, kept := r.pushed(t, ""), r.pushed(t, "")
	if err := pushAnother(lost.ref); err != nil {
		t.Fatal(err)
	}
	before := r.started(t, "")
	if said := r.must(t, "gc", "--dry-run", "--untagged"); !strings.Contains(said, "1 manifest,") || r.started(t, "") != before {
		t.Errorf("dry run:\n%s", said)
	}
	if said := r.must(t, "gc", "--yes", "--untagged"); !strings.Contains(said, "1 manifest,") || !strings.Contains(said, "stopping") {
		t.Errorf("gc:\n%s", said)
	}
	if after := r.started(t, ""); after.id != before.id || after.at == before.at {
		t.Errorf("%v became %v, want the same container started again", before, after)
	}
	r.pulled(t, "", kept)
}

// upload is a PATCH that lasts until it is ended.
type upload struct {
	body *io.PipeWriter
	next string // where it goes on
	done chan error
}

func (r *run) url(path string) string { return "http://127.0.0.1:" + r.port + path }

// post begins an upload, or tells that none may begin.
func (r *run) post(t *testing.T) (status int, location string) {
	t.Helper()
	resp, err := http.Post(r.url("/v2/a/app/blobs/uploads/"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

func (r *run) awaitPost(t *testing.T, want int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		status, _ := r.post(t)
		if status == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a push is told %d, want %d", status, want)
		}
	}
}

func (r *run) upload(t *testing.T) *upload {
	t.Helper()
	_, location := r.post(t)
	return uploadTo(t, http.DefaultClient, location)
}

func uploadTo(t *testing.T, client *http.Client, location string) *upload {
	t.Helper()
	body, sender := io.Pipe()
	u := &upload{body: sender, done: make(chan error, 1)}
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, location, body)
		if err != nil {
			u.done <- err
			return
		}
		resp, err := client.Do(req)
		if err == nil {
			u.next = resp.Header.Get("Location")
			err = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				err = fmt.Errorf("the upload was told %s", resp.Status)
			}
		}
		u.done <- err
	}()
	if _, err := sender.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	return u
}

// TestGCWaitsForPushes has gc wait for an upload that has begun: first it is killed
// meanwhile, and the next command ends what it began; then the upload ends.
func TestGCWaitsForPushes(t *testing.T) {
	r := newRun(t, build(t), "gcwait")
	r.must(t, "init", "--tls", "none", "--runtime", "process", "--port", r.port)
	u := r.upload(t)

	gc := r.command("gc", "--yes")
	if err := gc.Start(); err != nil {
		t.Fatal(err)
	}
	r.awaitPost(t, http.StatusServiceUnavailable)
	_ = gc.Process.Kill()
	_ = gc.Wait()
	if status, _ := r.post(t); status != http.StatusServiceUnavailable {
		t.Errorf("after the kill: %d", status)
	}
	r.must(t, "start")
	r.awaitPost(t, http.StatusAccepted)

	gc = r.command("gc", "--yes")
	var said bytes.Buffer
	gc.Stdout, gc.Stderr = &said, &said
	if err := gc.Start(); err != nil {
		t.Fatal(err)
	}
	r.awaitPost(t, http.StatusServiceUnavailable)
	_ = u.body.Close()
	if err := <-u.done; err != nil {
		t.Error(err)
	}
	if err := gc.Wait(); err != nil || !strings.Contains(said.String(), "waiting for pushes to end") {
		t.Errorf("gc: %v\n%s", err, said.String())
	}
	if status, _ := r.post(t); status != http.StatusAccepted {
		t.Errorf("as soon as gc is done: %d", status)
	}
	// What was uploaded before goes on after.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		u.next+"&digest=sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Errorf("%v %v", resp, err)
	}
	if err == nil {
		_ = resp.Body.Close()
	}
}

// TestPushesWhileGC pushes all along while garbage is collected: each push ends well or
// with one error of the registry's, and no manifest that is there lacks a blob.
func TestPushesWhileGC(t *testing.T) {
	r := newRun(t, build(t), "gcpush")
	r.must(t, "init", "--tls", "none", "--runtime", "process", "--port", r.port)
	t.Run("by tag", func(t *testing.T) {
		r.pushesWhileGC(t, 4, func(i, n int) error {
			// The same tag again and again: what it was before becomes garbage.
			ref, err := name.ParseReference(fmt.Sprintf("127.0.0.1:%s/app%d:%d", r.port, i%2, i*2+n%2), name.Insecure)
			if err != nil {
				return err
			}
			var said *transport.Error
			if err = pushRandom(ref); errors.As(err, &said) {
				return errTold
			}
			return err
		})
	})
	t.Run("docker", func(t *testing.T) {
		testenv.Need(t, "docker")
		r.pushesWhileGC(t, 3, func(i, _ int) error {
			_, err := push("", fmt.Sprintf("127.0.0.1:%s/docker%d", r.port, i))
			if err != nil && told.MatchString(err.Error()) {
				return fmt.Errorf("%w: %w", errTold, err)
			}
			return err
		})
	})
}

// told are the errors that a push may end with: the last line, which docker prints.
var (
	told    = regexp.MustCompile(`(?m)^(manifest blob unknown|blob unknown|received unexpected HTTP status: 503|unknown: manifest|manifest invalid|.*read-only for a while)`)
	errTold = errors.New("the registry said what is wrong")
)

// pushesWhileGC has several push one after another while garbage is collected four times.
func (r *run) pushesWhileGC(t *testing.T, pushers int, push func(i, n int) error) {
	stop := make(chan struct{})
	var well, refused atomic.Int32
	var group sync.WaitGroup
	for i := range pushers {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				switch err := push(i, n); {
				case err == nil:
					well.Add(1)
				case errors.Is(err, errTold):
					t.Log(err)
					refused.Add(1)
				default:
					t.Errorf("push: %v", err)
				}
			}
		})
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for round := range int32(4) {
		for ; well.Load()+refused.Load() < 2*(round+1); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%d pushes ended in a minute", well.Load()+refused.Load())
			}
		}
		r.must(t, "gc", "--yes", "--untagged")
	}
	close(stop)
	group.Wait()
	r.must(t, "gc", "--yes", "--untagged")
	t.Logf("%d pushes ended well, %d were refused", well.Load(), refused.Load())
	if there := r.wholeManifests(t); there == 0 || well.Load() == 0 {
		t.Errorf("%d pushes ended well, and %d manifests are there", well.Load(), there)
	}
}

// wholeManifests pulls every manifest that the registry has, with all its blobs.
func (r *run) wholeManifests(t *testing.T) int {
	t.Helper()
	root := filepath.Join(r.dir, "data", "docker", "registry", "v2", "repositories")
	links, err := filepath.Glob(filepath.Join(root, "*", "_manifests", "revisions", "sha256", "*", "link"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		repository, _, _ := strings.Cut(strings.TrimPrefix(link, root+"/"), "/")
		ref, err := name.ParseReference("127.0.0.1:"+r.port+"/"+repository+"@"+string(read(t, link)), name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := pullWhole(ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	return len(links)
}

func pushRandom(ref name.Reference) error {
	img, err := random.Image(20000, 3)
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithRetryBackoff(remote.Backoff{Duration: 20 * time.Millisecond, Factor: 1, Steps: 5}))
}

func pullWhole(ref name.Reference) error {
	img, err := remote.Image(ref)
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := readLayer(l); err != nil {
			return err
		}
	}
	_, err = img.RawConfigFile()
	return err
}

// readLayer checks the layer's digest too.
func readLayer(l v1.Layer) error {
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// TestRestoreKilled kills restore at many moments: the directory is there whole or not
// at all, and the same command finishes.
func TestRestoreKilled(t *testing.T) {
	bin := build(t)
	r := newRun(t, bin, "restorekill")
	r.must(t, "init", "--host", "registry.test", "--runtime", "process", "--port", r.port)
	file := filepath.Join(t.TempDir(), "backup")
	r.must(t, "backup", file, "--no-encrypt", "--with-data")
	ca := read(t, filepath.Join(r.dir, "certs", "ca.crt"))
	r.must(t, "destroy", "--yes")
	start := time.Now()
	r.must(t, "restore", file, "--yes")
	whole := time.Since(start)
	for i := range 6 {
		r.must(t, "destroy", "--yes")
		cmd := r.command("restore", file, "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(whole*time.Duration(i+1)/8, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		r.must(t, "restore", file, "--yes")
		if !bytes.Equal(ca, read(t, filepath.Join(r.dir, "certs", "ca.crt"))) {
			t.Error("another CA")
		}
		r.must(t, "status", "--check")
	}
	r.noHalfFile(t)
	r.must(t, "destroy", "--yes")
	if entries, err := os.ReadDir(filepath.Dir(r.dir)); err != nil || len(entries) > 0 {
		t.Errorf("left: %v %v", entries, err)
	}
}
