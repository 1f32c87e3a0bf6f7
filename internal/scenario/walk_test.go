package scenario

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func list(t *testing.T, dir, as string, rules walkRules) []string {
	t.Helper()
	l := &listed{}
	if err := walk(t.Context(), dir, as, l, rules); err != nil {
		t.Fatal(err)
	}
	for i := range l.lines {
		l.lines[i] = strings.TrimPrefix(strings.TrimSuffix(l.lines[i], "\n"), "+")
	}
	return l.lines
}

func fill(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Whatever is pushed meanwhile, no link is copied whose target was copied before it
// could be there.
func TestImagesAreCopiedLinksFirst(t *testing.T) {
	const repo = "docker/registry/v2/repositories/a/"
	want := []string{ // each before those after it
		repo + "_manifests/tags/x/current/link",
		repo + "_manifests/tags/x/index/sha256/1/link",
		repo + "_manifests/revisions/sha256/1/link",
		repo + "_layers/sha256/1/link",
		"docker/registry/v2/blobs/sha256/1/data",
	}
	dir := fill(t, append([]string{
		repo + "_uploads/1/data",
		"docker/registry/v2/blobs/sha256/2/data.0b9a8e5e-2f6c-4a53-a6b4-0d2e6c3f7a11.tmp",
		"docker/registry/v2/repositories/b.tmp/_layers/sha256/1/link",
	}, want...)...)
	secret := filepath.Join(fill(t, "key"), "key")
	if err := os.Symlink(secret, filepath.Join(dir, "docker", "link")); err != nil {
		t.Skip(err)
	}
	got := list(t, dir, "data", walkRules{data: true})
	var at []int
	for _, path := range want {
		at = append(at, slices.Index(got, "data/"+path))
	}
	if !slices.IsSorted(at) || at[0] < 0 {
		t.Errorf("order %v of\n%s", at, strings.Join(got, "\n"))
	}
	for _, path := range got {
		if strings.Contains(path, "_uploads") || strings.HasSuffix(path, "a11.tmp") || strings.Contains(path, "docker/link") {
			t.Errorf("%s is under way, or not the registry's", path)
		}
	}
	if !slices.Contains(got, "data/docker/registry/v2/repositories/b.tmp/_layers/sha256/1/link") {
		t.Error("a repository was taken for a temporary file")
	}
}

func TestBackupLeavesOutWhatRuns(t *testing.T) {
	dir := fill(t, "regctl.yaml", "state.json", "certs/ca.key", "clients/a.json", "serve/ctl/readonly", "serve/config.yml",
		"lock", "journal", "bin/regctl", "logs/registry.log", "process.pid", "data/docker/x", "certs/.regctl-1-0000000a.tmp")
	got := list(t, dir, "", walkRules{})
	want := []string{"certs/", "certs/ca.key", "clients/", "clients/a.json", "regctl.yaml", "serve/", "serve/config.yml", "serve/ctl/", "state.json"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWalkIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := walk(ctx, fill(t, "a"), "", &listed{}, walkRules{}); err == nil {
		t.Error("it went on")
	}
}
