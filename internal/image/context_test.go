package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
)

func contextOf(t *testing.T, exe string) image.Context {
	t.Helper()
	return image.Context{
		Ref: "own:1", Version: "v1", Exe: exe,
		Serve: []image.ContextFile{{Name: "config.yml", Mode: 0o644, Data: []byte("version: 0.1\n")}, {Name: "key", Mode: 0o600, Data: []byte("k")}},
	}
}

func filesOf(t *testing.T, c image.Context) []image.ContextFile {
	t.Helper()
	files, err := c.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDockerfile(t *testing.T) {
	const labels = `LABEL org.opencontainers.image.title="registry" \
      org.opencontainers.image.description="An OCI registry and its configuration, made by regctl image build" \
      org.opencontainers.image.source="https://github.com/regctl/regctl" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="v1"`
	stock := image.Context{Ref: "own:1", Version: "v1", Base: "registry:3", Command: []string{"serve", "/serve/config.yml"}, Env: []string{"A=b"}}
	for want, c := range map[string]image.Context{
		`# Made by regctl image build. By hand: docker build -t own:1 .
FROM scratch

` + labels + `
# A user, the CAs of the world, and folders to write to: scratch has nothing.
COPY rootfs/ /
COPY regctl /regctl
COPY --chown=65532:65532 serve/ /serve/
USER 65532:65532
VOLUME ["/var/lib/registry"]
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/regctl", "probe", "/serve/config.yml"]
ENTRYPOINT ["/regctl"]
CMD ["serve","/serve/config.yml"]
`: contextOf(t, program(t)),
		`# Made by regctl image build. By hand: docker build -t own:1 .
FROM registry:3

` + labels + ` \
      org.opencontainers.image.base.name="registry:3"
COPY serve/ /serve/
VOLUME ["/var/lib/registry"]
EXPOSE 5000
ENV A=b
CMD ["serve","/serve/config.yml"]
`: stock,
	} {
		if got := string(filesOf(t, c)[0].Data); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if _, err := contextOf(t, dynamic(t)).Files(); !fault.IsUsage(err) {
		t.Errorf("an executable that is not static: %v", err)
	}
}

// What the API is sent and what is written are the same files.
func TestContextAsTarAndFolder(t *testing.T) {
	files := filesOf(t, contextOf(t, program(t)))
	var sent bytes.Buffer
	if err := image.WriteContext(&sent, files); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ctx")
	if changed, err := image.SaveContext(dir, files); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if changed, err := image.SaveContext(dir, files); changed || err != nil {
		t.Errorf("again: %v %v", changed, err)
	}
	count := 0
	for archive := tar.NewReader(&sent); ; count++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		saved, err := os.Stat(filepath.Join(dir, h.Name))
		if err != nil || saved.Mode() != h.FileInfo().Mode() {
			t.Errorf("%s: %v %v, sent with %v", h.Name, saved, err, h.FileInfo().Mode())
			continue
		}
		if text, err := os.ReadFile(filepath.Join(dir, h.Name)); !saved.IsDir() && (err != nil || !bytes.Equal(text, data)) {
			t.Errorf("%s differs: %v", h.Name, err)
		}
	}
	if count != len(files) {
		t.Errorf("%d files were sent, of %d", count, len(files))
	}
}

// A key that is not to be baked in any more goes from a context that had it; a folder
// of somebody else's is left alone.
func TestContextFolder(t *testing.T) {
	c := contextOf(t, program(t))
	dir := t.TempDir()
	if _, err := image.SaveContext(dir, filesOf(t, c)); err != nil {
		t.Fatal(err)
	}
	c.Serve = c.Serve[:1]
	if changed, err := image.SaveContext(dir, filesOf(t, c)); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "serve", "key")); !os.IsNotExist(err) {
		t.Errorf("the key is still there: %v", err)
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "Dockerfile"), []byte("FROM debian\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := image.SaveContext(other, filesOf(t, c)); !fault.IsUsage(err) || !strings.Contains(err.Error(), "did not make") {
		t.Errorf("somebody's folder: %v", err)
	}
	if left, _ := os.ReadDir(other); len(left) != 1 {
		t.Errorf("it was touched: %v", left)
	}
}
