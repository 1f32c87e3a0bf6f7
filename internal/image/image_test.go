package image_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
)

// program builds a Go program that does nothing, for the target given.
func program(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "main.go")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "regctl")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", exe, src)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

func describe(t *testing.T, exe string) image.Info {
	t.Helper()
	info, err := image.Describe(exe)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func archive(t *testing.T, exe string, info image.Info) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := image.Write(&out, exe, info); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestSameExecutableSameImage(t *testing.T) {
	exe := program(t)
	first := describe(t, exe)
	bytesOfFirst := archive(t, exe, first)

	// Copied elsewhere and with another time it is still the same image.
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(copied, data, 0o700); err != nil {
		t.Fatal(err)
	}
	second := describe(t, copied)
	if second != first {
		t.Errorf("copied: %+v, want %+v", second, first)
	}
	if !bytes.Equal(bytesOfFirst, archive(t, copied, second)) {
		t.Error("the archives differ")
	}
}

func TestOtherExecutableOtherImage(t *testing.T) {
	exe := program(t)
	for name, flag := range map[string]string{"another build": "-ldflags=-s", "no build ID": "-ldflags=-buildid="} {
		other := program(t, "GOFLAGS="+flag)
		if describe(t, other).ID == describe(t, exe).ID {
			t.Errorf("%s has the same image", name)
		}
	}
}

func TestContent(t *testing.T) {
	exe := program(t, "GOARCH=arm64")
	info := describe(t, exe)
	data := archive(t, exe, info)
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || info.Arch != "arm64" || config.OS != "linux" {
		t.Errorf("built for %s/%s, described as %s", config.OS, config.Architecture, info.Arch)
	}
	if got := strings.Join(append(config.Config.Entrypoint, config.Config.Cmd...), " "); got != "/regctl serve /serve/config.yml" {
		t.Errorf("runs %s", got)
	}
	if config.Config.User != "65532:65532" || config.Config.Labels[image.Label] != info.ID {
		t.Errorf("user %q, labels %v", config.Config.User, config.Config.Labels)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := map[string]string{}
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(body)
		if h.Name == "regctl" && h.Mode != 0o755 {
			t.Errorf("regctl has mode %o", h.Mode)
		}
	}
	if want, _ := os.ReadFile(exe); got["regctl"] != string(want) {
		t.Error("the executable is not in the image")
	}
	if n := strings.Count(got["etc/ssl/certs/ca-certificates.crt"], "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("only %d certification authorities", n)
	}
	if !strings.Contains(got["etc/passwd"], ":65532:") || !strings.Contains(got["etc/nsswitch.conf"], "files dns") {
		t.Errorf("passwd %q, nsswitch.conf %q", got["etc/passwd"], got["etc/nsswitch.conf"])
	}
}

func TestRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ exe, want string }{
		"absent":             {filepath.Join(t.TempDir(), "absent"), "no such file"},
		"not a program":      {text, "not a linux executable"},
		"another system's":   {program(t, "GOOS=darwin"), "not a linux executable"},
		"dynamically linked": {dynamic(t), "linked dynamically"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := image.Describe(tt.exe)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if !fault.IsUsage(err) || fault.Hint(err) == "" {
				t.Errorf("%v: usage %v, hint %q", err, fault.IsUsage(err), fault.Hint(err))
			}
		})
	}
}

// dynamic is any executable of the machine that asks for an interpreter.
func dynamic(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs linux executables")
	}
	for _, exe := range []string{"/bin/ls", "/bin/sh"} {
		file, err := elf.Open(exe)
		if err != nil {
			continue
		}
		defer file.Close()
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP {
				return exe
			}
		}
	}
	t.Skip("needs a dynamically linked executable")
	return ""
}

func TestWriteRefusesAChangedExecutable(t *testing.T) {
	exe := program(t)
	info := describe(t, exe)
	other := program(t, "GOARCH=arm64")
	if err := image.Write(io.Discard, other, info); err == nil {
		t.Error("wrote an image that was not described")
	}
}
