package canaryimage

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// The command that verifies and the registry may be of different builds: a nonce
// has these digests for as long as Version is 1.
func TestDigestsAreForGood(t *testing.T) {
	img, err := New("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	const index, docker = "sha256:461106d09d419761748e419544211a1879677c8a71092da1cda0174a421babf4", "sha256:e30d7baf2903d3ac244e62ebb81c82633719dbd998475e79bdd4d2a2c79fe312"
	if img.Index != index || img.DockerIndex != docker {
		t.Errorf("index %s, Docker's %s", img.Index, img.DockerIndex)
	}
}

func TestEveryPlatformLeadsToTheNonce(t *testing.T) {
	const nonce = "abcdefghijklmnopqrstuvwxyz"
	img, err := New(nonce)
	if err != nil {
		t.Fatal(err)
	}
	var index v1.Index
	for _, top := range []Manifest{img.Manifests[img.Index], img.Manifests[img.DockerIndex]} {
		if err := json.Unmarshal(top.Data, &index); err != nil || index.MediaType != top.Type || len(index.Manifests) != len(platforms()) {
			t.Fatalf("%+v, %v", index, err)
		}
		for _, d := range index.Manifests {
			var m v1.Manifest
			if err := json.Unmarshal(img.Manifests[d.Digest].Data, &m); err != nil || m.MediaType != d.MediaType {
				t.Fatalf("%+v, %v", m, err)
			}
			var c v1.Image
			if err := json.Unmarshal(img.Blobs[m.Config.Digest], &c); err != nil || c.Architecture != d.Platform.Architecture || c.Variant != d.Platform.Variant {
				t.Errorf("%+v is described as %+v, %v", c.Platform, d.Platform, err)
			}
			r, err := gzip.NewReader(bytes.NewReader(img.Blobs[m.Layers[0].Digest]))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(r)
			if err != nil || !strings.Contains(string(plain), nonce+"\n") {
				t.Errorf("layer: %q, %v", plain, err)
			}
		}
	}
}

func TestFile(t *testing.T) {
	want := File{
		Version: 1, Tag: "run-1", Nonce: "0123456789abcdef", Expires: time.Unix(100, 0).UTC(),
		Credential: Credential("canary", "secret"),
	}
	data, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil || got != want {
		t.Errorf("%s is read as %+v, %v", data, got, err)
	}
	if !got.Opens("canary", "secret") || got.Opens("canary", "Secret") || got.Opens("", "") || (File{}).Opens("canary", "secret") {
		t.Error("the credential opens for the wrong one")
	}
	if strings.Contains(string(data), "secret") {
		t.Errorf("in clear: %s", data)
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "version: 1\ntag: a\nnonce: 0123456789abcdef\nexpires: 2030-01-02T03:04:05Z\n"
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                             "is empty",
		"[":                            "yaml:",
		good + "more: 1\n":             "more",
		good + "credential: x\n":       "credential:",
		"version: 2\n":                 "version: this registry knows 1, not 2",
		"version: 1\ntag: a/b\n":       "tag:",
		"version: 1\ntag: a\nnonce: 1": "nonce:",
		"version: 1\ntag: a\nnonce: 0123456789abcdef\n": "expires:",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
