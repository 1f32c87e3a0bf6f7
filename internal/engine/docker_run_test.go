package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/step"
)

// registry is a folder with what a registry mounts, owned by whom it runs as.
func registry(t *testing.T, user engine.User) (dir string) {
	t.Helper()
	dir = t.TempDir()
	config := "version: 0.1\nlog: {level: error}\nhttp: {addr: ':5000', secret: s}\nstorage: {filesystem: {rootdirectory: /data}}\n"
	for _, name := range []string{"serve", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "serve", "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve", "serve/config.yml", "data"} {
		if err := os.Chown(filepath.Join(dir, name), user.UID, user.GID); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pushAndPull sends an image to the registry on the port and gets it back, by the
// docker command, with the same digest.
func pushAndPull(t *testing.T, sock string, port int) {
	t.Helper()
	ref := fmt.Sprintf("127.0.0.1:%d/tiny:1", port)
	enginetest.Import(t, sock, ref, map[string][]byte{"/file": []byte(ref)}, `CMD ["/file"]`)
	enginetest.Docker(t, sock, "push", ref)
	digest := func() string {
		return enginetest.Docker(t, sock, "image", "inspect", "--format", "{{index .RepoDigests 0}}", ref)
	}
	pushed := digest()
	enginetest.Docker(t, sock, "image", "rm", ref)
	enginetest.Docker(t, sock, "pull", ref)
	if pulled := digest(); pulled != pushed {
		t.Errorf("pulled %s, pushed %s", pulled, pushed)
	}
}

func TestStockImages(t *testing.T) {
	for _, tt := range []struct {
		major int
		make  func(t testing.TB, sock, ref string)
	}{{2, enginetest.Registry2}, {3, enginetest.Registry3}} {
		t.Run(strconv.Itoa(tt.major), func(t *testing.T) {
			d := enginetest.Open(t, "")
			name := enginetest.Name(t, "")
			ref := name + ":1"
			tt.make(t, "", ref)
			user, err := d.ServeUser(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stock, err := d.InspectStock(t.Context(), ref, "/serve/config.yml")
			if err != nil || stock.Major != tt.major {
				t.Fatalf("got %+v, %v", stock, err)
			}
			b := &bed{T: t, docker: d, name: name, dir: registry(t, user)}
			b.host = host.NewLocal(d.Handlers(b.dir, engine.Images{}))
			port := freePort(t)
			want := b.container(port)
			want.Image, want.Entrypoint, want.Args, want.Env, want.User = ref, stock.Entrypoint, stock.Args, stock.Env, user.Container
			want.Mounts = []engine.Mount{
				{Source: filepath.Join(b.dir, "serve"), Target: "/serve", ReadOnly: true},
				{Source: filepath.Join(b.dir, "data"), Target: "/data"},
			}
			b.run(engine.StockImage(ref), engine.ContainerStep{Want: want}, b.wait(port))
			pushAndPull(t, "", port)
			b.run(removeContainer(name), removeImage(ref))
			if enginetest.Docker(t, "", "images", "-q", ref) == "" {
				t.Error("somebody else's image was removed")
			}
		})
	}
}

func TestStockImageByItsVersion(t *testing.T) {
	d := enginetest.Open(t, "")
	ref := enginetest.Name(t, "") + ":1"
	enginetest.Import(t, "", ref, map[string][]byte{"/x": nil}, `ENTRYPOINT ["/x"]`)
	if _, err := d.InspectStock(t.Context(), ref, "/serve/config.yml"); err == nil || !strings.Contains(err.Error(), "does not start with a registry's configuration") {
		t.Errorf("got %v", err)
	}
	ref = enginetest.Name(t, "") + ":1"
	enginetest.Import(t, "", ref, map[string][]byte{"/x": nil}, `ENTRYPOINT ["/x"]`, `CMD ["/my.yml"]`, "LABEL org.opencontainers.image.version=2.8.3")
	stock, err := d.InspectStock(t.Context(), ref, "/serve/config.yml")
	if err != nil || stock.Major != 2 || fmt.Sprint(stock.Args) != "[/serve/config.yml]" {
		t.Errorf("got %+v, %v", stock, err)
	}
	if _, err := d.InspectStock(t.Context(), "regctl-test-absent:1", "/serve/config.yml"); err == nil {
		t.Error("an absent image was inspected")
	}
}

func TestPullOfWhatIsNowhere(t *testing.T) {
	d := enginetest.Open(t, "")
	b := &bed{T: t, docker: d, host: host.NewLocal(d.Handlers("/nowhere", engine.Images{}))}
	ref := fmt.Sprintf("127.0.0.1:%d/none:1", freePort(t))
	_, err := b.try(engine.StockImage(ref))
	if err == nil || !strings.Contains(err.Error(), "image "+ref+" is not here and cannot be pulled") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

// The image of another regctl went after the plan was made: this one cannot make it.
func TestAnothersImageIsGone(t *testing.T) {
	d := enginetest.Open(t, "")
	b := &bed{T: t, docker: d, host: host.NewLocal(d.Handlers("/nowhere", engine.Images{}))}
	if _, err := b.try(engine.StockImage(image.Repository + ":none-of-ours")); !errors.Is(err, engine.ErrImageGone) {
		t.Errorf("got %v", err)
	}
}

// The real thing: our own program as the image, data in a named volume.
func TestOwnImageServes(t *testing.T) {
	d := enginetest.Open(t, "")
	exe := enginetest.Build(t, "github.com/regctl/regctl/cmd/regctl")
	info, err := image.Describe(exe)
	if err != nil {
		t.Fatal(err)
	}
	user, err := d.ServeUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, docker: d, name: enginetest.Name(t, ""), dir: registry(t, user), info: info}
	b.host = host.NewLocal(d.Handlers(b.dir, engine.Images{Exe: exe, Info: info}))
	volume := engine.Volume{Name: b.name, Registry: "registry", Dir: b.dir, UID: user.UID, GID: user.GID}
	port := freePort(t)
	want := b.container(port)
	want.Args, want.User = nil, user.Container
	want.Mounts = []engine.Mount{
		{Source: filepath.Join(b.dir, "serve"), Target: "/serve", ReadOnly: true},
		{Source: b.name, Target: "/data", Volume: true},
	}
	b.run(engine.OurImage(info), engine.VolumeStep{Want: volume}, engine.ContainerStep{Want: want}, b.wait(port))
	t.Cleanup(func() { b.quietly(removeContainer(b.name), removeImage(info.Ref)) })
	pushAndPull(t, "", port)

	// An image in use stays.
	b.run(removeImage(info.Ref))
	if enginetest.Docker(t, "", "images", "-q", info.Ref) == "" {
		t.Error("the image of a running registry was removed")
	}
	b.run(removeContainer(b.name), removeVolume(b.name), removeImage(info.Ref))
	for _, kind := range []string{"volume ls -q", "images -q --no-trunc " + info.Ref, "ps -aq --filter name=" + b.name} {
		if left := enginetest.Docker(t, "", strings.Fields(kind)...); strings.Contains(left, b.name) || kind[0] != 'v' && left != "" {
			t.Errorf("left by %s: %s", kind, left)
		}
	}
}

func TestEngineRestartKeepsTheRegistry(t *testing.T) {
	sock, restart := enginetest.Dockerd(t)
	d := enginetest.Open(t, sock)
	exe := enginetest.Tiny(t)
	info, err := image.Describe(exe)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, docker: d, name: "registry", dir: t.TempDir(), info: info}
	b.host = host.NewLocal(d.Handlers(b.dir, engine.Images{Exe: exe, Info: info}))
	port := freePort(t)
	steps := []step.Step{engine.OurImage(info), engine.ContainerStep{Want: b.container(port)}, b.wait(port)}
	b.run(steps...)
	before := b.inspect()
	restart()
	b.answers(port)
	if after := b.inspect(); after.ID != before.ID || !after.StartedAt.After(before.StartedAt) {
		t.Errorf("after: %+v, before %+v", after, before)
	}
	if planned, err := step.Plan(t.Context(), b.host, steps); err != nil || !planned.Empty() {
		t.Errorf("planned after it: %+v, %v", planned, err)
	}
}
