package main_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/testenv"
)

// garbage pushes images of 5 layers over one tag, so that all but the last lose theirs.
func (r *run) garbage(t *testing.T, images int) {
	t.Helper()
	ref, err := name.ParseReference("127.0.0.1:"+r.port+"/garbage:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	for range images {
		img, err := random.Image(4<<10, 5)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img, remote.WithTransport(anyCertificate)); err != nil {
			t.Fatal(err)
		}
	}
}

// used is how many bytes the files in data/ have.
func (r *run) used(t *testing.T) (size int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.dir, "data"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestGCFreesWhatItCounts collects images that lost their tags: the count beforehand,
// what gc says and what the files in data/ lost are the same number of bytes.
func TestGCFreesWhatItCounts(t *testing.T) {
	r := newRun(t, build(t), "gccount")
	r.must(t, "init", "--tls", "none", "--runtime", "process", "--port", r.port)
	r.garbage(t, 60)
	before := r.used(t)
	counted := r.gc(t, "--untagged", "--dry-run")
	if now := r.used(t); now != before {
		t.Errorf("a dry run turned %d bytes into %d", before, now)
	}
	freed := r.gc(t, "--untagged", "--yes")
	if went := before - r.used(t); counted != freed || freed.Bytes != went {
		t.Errorf("counted %+v, freed %+v, and %d bytes went", counted, freed, went)
	}
	if freed.Manifests != 59 || freed.Blobs != 59*7 { // 5 layers, the configuration, the manifest
		t.Errorf("%+v", freed)
	}
	if r.wholeManifests(t) != 1 {
		t.Error("not one image is left")
	}
}

// TestGCKilled kills gc at random moments, by kill -9 of regctl alone: what goes on by
// itself then ends by itself, whatever command comes next has the registry take writes
// again, and no manifest lacks a blob. In the end all garbage is gone.
func TestGCKilled(t *testing.T) {
	bin := build(t)
	for _, runtime := range []string{"process", "docker", "volume"} {
		t.Run(runtime, func(t *testing.T) {
			if runtime != "process" {
				testenv.Need(t, "docker")
			}
			gcKilled(t, newRun(t, bin, "gckill-"+runtime), runtime)
		})
	}
}

func gcKilled(t *testing.T, r *run, runtime string) {
	init := []string{"init", "--tls", "none", "--port", r.port, "--runtime", strings.Replace(runtime, "volume", "docker", 1), "--no-start"}
	r.must(t, init...)
	if runtime == "volume" {
		path := filepath.Join(r.dir, "regctl.yaml")
		write(t, path, strings.Replace(string(read(t, path)), "  driver: filesystem", "  volume: "+r.name+"\n  driver: filesystem", 1))
		t.Cleanup(func() { _, _ = docker("", nil, "volume", "rm", r.name) })
	}
	r.must(t, "start")
	r.garbage(t, 10)
	if _, err := os.Stat(filepath.Join(r.dir, "data", "docker")); (err == nil) == (runtime == "volume") {
		t.Fatalf("the images are not where they should be: %v", err)
	}
	start := time.Now()
	r.gc(t, "--untagged", "--yes")
	whole := time.Since(start)
	for i, next := range [][]string{{"start"}, {"gc", "--yes", "--untagged"}, {"restart"}, {"apply"}} {
		r.garbage(t, 6)
		cmd := r.command("gc", "--yes", "--untagged")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		moment := time.Duration(rand.Int64N(int64(whole)))
		timer := time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		r.must(t, next...)
		if _, err := os.Stat(filepath.Join(r.dir, "serve", "ctl", "readonly")); !os.IsNotExist(err) {
			t.Errorf("killed after %s of %s: %v left the registry read-only: %v", moment, whole, next, err)
		}
		r.garbage(t, 1) // it takes pushes
		r.gcWhole(t, fmt.Sprintf("round %d, killed after %s of %s", i, moment, whole))
	}
	r.gc(t, "--untagged", "--yes")
	if left := r.gc(t, "--untagged", "--dry-run"); left.Bytes != 0 {
		t.Errorf("garbage is left: %+v", left)
	}
	r.gcWhole(t, "in the end")
	r.must(t, "destroy", "--yes")
}

// gcWhole pulls all that is tagged, and where the images lie in a folder all that is there.
func (r *run) gcWhole(t *testing.T, when string) {
	t.Helper()
	ref, err := name.ParseReference("127.0.0.1:"+r.port+"/garbage:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := pullWhole(ref); err != nil {
		t.Errorf("%s: %v", when, err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "data", "docker")); err == nil && r.wholeManifests(t) == 0 {
		t.Errorf("%s: no manifest is there", when)
	}
}
