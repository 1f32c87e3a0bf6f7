// Package image makes the registry's container image out of regctl's own
// executable: one layer from scratch, the same bytes for the same executable, so
// that nothing is pulled and a host without a network can start a registry.
package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// Repository is what every image of ours is called; its tag says which it is.
	Repository = "regctl/registry"
	// Label marks an image as made by regctl; its value is Info.ID.
	Label = "io.regctl.image"
	// Entrypoint is the executable's path in the image.
	Entrypoint = "/regctl"
	// User is the unprivileged user and group that the image runs as by default.
	User = 65532
)

// epoch is the time of all that is in the image, so that it is the same on any day.
var epoch = time.Unix(0, 0).UTC()

// Info describes the image made of one executable.
type Info struct {
	ID   string // hex, stands for the executable and for how the image is made of it
	Ref  string // regctl/registry:<first 12 digits of ID>
	Arch string // as Go names it: amd64, arm64 …
}

// Describe tells what Write would make of the executable exe, without reading all
// of it. It refuses one that would not run in a container from scratch.
func Describe(exe string) (Info, error) {
	arch, err := checkExecutable(exe)
	if err != nil {
		return Info{}, err
	}
	id, err := identify(exe)
	if err != nil {
		return Info{}, err
	}
	return Info{ID: id, Ref: Repository + ":" + id[:12], Arch: arch}, nil
}

// Write streams the image as a docker-archive, the form that every Docker Engine
// loads (moby image specification v1.2, "Combined Image JSON + Filesystem
// Changeset Format"). The executable is read once: what hangs on its hash comes
// after it. Write fails if it is no longer the one that info describes.
func Write(w io.Writer, exe string, info Info) error {
	if now, err := Describe(exe); err != nil || now != info {
		return fmt.Errorf("%s changed while we were working on it", exe)
	}
	file, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	sum := sha256.New()
	if err := archive.WriteHeader(header("layer.tar", 0o644, layerSize(about.Size()))); err != nil {
		return err
	}
	if err := writeLayer(io.MultiWriter(archive, sum), file, about.Size()); err != nil {
		return fmt.Errorf("%s: %w", exe, err)
	}
	if err := writeManifest(archive, info, hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	return archive.Close()
}

// writeManifest ends the archive with the image's configuration and the file
// that ties it to its layer and its name.
func writeManifest(archive *tar.Writer, info Info, layer string) error {
	config, err := json.Marshal(configuration(info, layer))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{info.Ref}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	if err := writeFile(archive, entry{name, 0o644, string(config)}); err != nil {
		return err
	}
	return writeFile(archive, entry{"manifest.json", 0o644, string(manifest)})
}

func configuration(info Info, layer string) spec.Image {
	img := spec.Image{
		Created: &epoch,
		Config: spec.ImageConfig{
			Entrypoint: []string{Entrypoint},
			Cmd:        []string{"serve", "/serve/config.yml"},
			User:       fmt.Sprintf("%d:%d", User, User),
			WorkingDir: "/",
			Labels: map[string]string{
				Label:                      info.ID,
				spec.AnnotationTitle:       "regctl registry",
				spec.AnnotationDescription: "The OCI registry that regctl runs: distribution, embedded in regctl itself",
				spec.AnnotationSource:      "https://github.com/regctl/regctl",
				spec.AnnotationLicenses:    "Apache-2.0",
			},
		},
		History: []spec.History{{Created: &epoch, CreatedBy: "regctl"}},
	}
	img.OS, img.Architecture = "linux", info.Arch
	img.RootFS.Type = "layers"
	img.RootFS.DiffIDs = append(img.RootFS.DiffIDs, digest.NewDigestFromEncoded(digest.SHA256, layer))
	return img
}
