// Command gcbench measures `regctl gc` of 1,000 images of 5 layers that are pushed over
// 8 tags, so that all but 8 lose theirs, against `docker-registry garbage-collect` of
// Debian's docker-registry on a copy of the same files; and holds what each says it
// freed against what the files say.
//
// It needs ./bin/regctl (make build) and Debian's docker-registry, and removes what it
// made.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
)

// What is pushed. Each tag has one pusher, so that its images follow each other.
const (
	tags      = 8
	layers    = 5
	layerSize = 4 << 10 // bytes
)

func main() {
	bin := flag.String("regctl", "bin/regctl", "the executable to measure")
	images := flag.Int("images", 1000, "how many are pushed")
	flag.Parse()
	if err := run(*bin, *images); err != nil {
		fmt.Fprintln(os.Stderr, "gcbench:", err)
		os.Exit(1)
	}
}

// bench is a registry in a folder of its own.
type bench struct{ bin, dir, port string }

func run(bin string, images int) (err error) {
	abs, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gcbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{bin: abs, dir: dir}
	if b.port, err = freePort(); err != nil {
		return err
	}
	if _, err := b.regctl("init", "--host", "localhost", "--tls", "none", "--runtime", "process", "--port", b.port); err != nil {
		return err
	}
	defer func() {
		_, gone := b.regctl("destroy", "--yes", "--quiet")
		err = errors.Join(err, gone)
	}()
	begun := time.Now()
	if err := b.push(images); err != nil {
		return err
	}
	fmt.Printf("%d images of %d layers of %d bytes over %d tags pushed in %.1f s\n", images, layers, layerSize, tags, time.Since(begun).Seconds())
	theirs, err := b.theirs()
	if err != nil {
		return err
	}
	return b.ours(theirs)
}

// ours counts, collects, and collects again.
func (b *bench) ours(theirs time.Duration) error {
	before, err := used(b.data())
	if err != nil {
		return err
	}
	counted, took, err := b.gc("--dry-run")
	if err != nil {
		return err
	}
	fmt.Printf("regctl gc --untagged --dry-run           %6.1f s   would free %d bytes\n", took.Seconds(), counted.Bytes)
	freed, took, err := b.gc("--yes")
	if err != nil {
		return err
	}
	after, err := used(b.data())
	if err != nil {
		return err
	}
	fmt.Printf("regctl gc --untagged                     %6.1f s   freed %d bytes: %d blobs, %d manifests; files in data/ became %d bytes fewer\n",
		took.Seconds(), freed.Bytes, freed.Blobs, freed.Manifests, before-after)
	if counted != freed || freed.Bytes != before-after {
		return errors.New("the three numbers of bytes are not the same")
	}
	fmt.Printf("ratio to docker-registry                 %6.2f\n", took.Seconds()/theirs.Seconds())
	if _, took, err = b.gc("--yes"); err == nil {
		fmt.Printf("regctl gc --untagged, nothing to do      %6.1f s\n", took.Seconds())
	}
	return err
}

// theirs has docker-registry collect a copy of the images.
func (b *bench) theirs() (time.Duration, error) {
	copied := filepath.Join(b.dir, "copy")
	if err := command("cp", "-a", b.data(), copied); err != nil {
		return 0, err
	}
	before, err := used(copied)
	if err != nil {
		return 0, err
	}
	config := filepath.Join(b.dir, "theirs.yml")
	text := "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " + copied + "}}\nhttp: {addr: ':0'}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := command("docker-registry", "garbage-collect", "--delete-untagged", config); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	after, err := used(copied)
	if err != nil {
		return 0, err
	}
	fmt.Printf("docker-registry garbage-collect          %6.1f s   files became %d bytes fewer\n", took.Seconds(), before-after)
	return took, os.RemoveAll(copied)
}

func (b *bench) push(images int) error {
	var group errgroup.Group
	for tag := range tags {
		group.Go(func() error {
			ref, err := name.ParseReference(fmt.Sprintf("localhost:%s/garbage:%d", b.port, tag), name.Insecure)
			if err != nil {
				return err
			}
			for n := tag; n < images; n += tags {
				img, err := random.Image(layerSize, layers)
				if err != nil {
					return err
				}
				if err := remote.Write(ref, img); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// collected is what gc prints.
type collected struct{ Bytes, Blobs, Manifests, Links int64 }

func (b *bench) gc(args ...string) (said collected, took time.Duration, err error) {
	begun := time.Now()
	out, err := b.regctl(append([]string{"gc", "--untagged", "-o", "json"}, args...)...)
	took = time.Since(begun)
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	return said, took, err
}

func (b *bench) data() string { return filepath.Join(b.dir, "reg", "data") }

func (b *bench) regctl(args ...string) ([]byte, error) {
	cmd := exec.Command(b.bin, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("REGCTL_NAME=gcbench-%d", os.Getpid()), "REGCTL_DIR="+filepath.Join(b.dir, "reg"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("regctl %s: %w\n%s", args[0], err, exit.Stderr)
	}
	return out, err
}

// used is how many bytes the files in a folder have.
func used(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
