// Package image makes the registry's container image out of regctl's own
// executable: one layer from scratch, the same bytes for the same executable, so
// that nothing is pulled and a host without a network can start a registry.
package image

import (
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	// Repository is what every image of ours is called; its tag says which it is.
	Repository = "regctl/registry"
	// Label marks an image as made by regctl; its value is format.
	Label = "io.regctl.image"
	// Entrypoint is the executable's path in the image.
	Entrypoint = "/regctl"
	// User is the unprivileged user and group that the image runs as by default.
	User = 65532
)

// format is part of what Info is remembered by: raise it when the image made from
// the same executable changes.
const format = "3"

// epoch is every time in the image, so that only the executable decides what it is.
var epoch = time.Unix(0, 0).UTC()

// Info describes the image made from one executable. It may be stored and handed
// to Describe again, which then need not read the executable.
type Info struct {
	Key   string `json:"key"`   // the executable's path, size, time and inode
	Ref   string `json:"ref"`   // regctl/registry:<12 hex digits of the image's configuration>
	Layer string `json:"layer"` // the only layer's uncompressed digest, "sha256:…"
	Arch  string `json:"arch"`  // as Go names it: amd64, arm64 …
}

// Describe tells what Write would make of the executable exe. known is what an
// earlier Describe returned, or the zero Info: where it is of the same file it is
// returned as it is, else the whole file is read. It refuses an executable that
// would not run in a container from scratch.
func Describe(exe string, known Info) (Info, error) {
	key, err := fileKey(exe)
	if err != nil {
		return Info{}, err
	}
	if known.Key == key {
		return known, nil
	}
	img, arch, err := build(exe)
	if err != nil {
		return Info{}, err
	}
	id, err := img.ConfigName()
	if err != nil {
		return Info{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return Info{}, err
	}
	return Info{
		Key:   key,
		Ref:   Repository + ":" + id.Hex[:12],
		Layer: config.RootFS.DiffIDs[0].String(),
		Arch:  arch,
	}, nil
}

// Write streams the image as a docker-archive, the form that every Docker Engine
// loads. It fails if the executable is no longer the one that info describes.
func Write(w io.Writer, exe string, info Info) error {
	img, _, err := build(exe)
	if err != nil {
		return err
	}
	id, err := img.ConfigName()
	if err != nil {
		return err
	}
	if info.Ref != Repository+":"+id.Hex[:12] {
		return fmt.Errorf("%s changed while we were working on it", exe)
	}
	tag, err := name.NewTag(info.Ref)
	if err != nil {
		return err
	}
	return tarball.Write(tag, img, w)
}

func build(exe string) (v1.Image, string, error) {
	arch, err := checkExecutable(exe)
	if err != nil {
		return nil, "", err
	}
	layer, err := newLayer(exe)
	if err != nil {
		return nil, "", err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, "", err
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Created:      v1.Time{Time: epoch},
		OS:           "linux",
		Architecture: arch,
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{layer.digest}},
		History:      []v1.History{{Created: v1.Time{Time: epoch}, CreatedBy: "regctl"}},
		Config: v1.Config{
			Entrypoint: []string{Entrypoint},
			Cmd:        []string{"serve", "/serve/config.yml"},
			User:       fmt.Sprintf("%d:%d", User, User),
			WorkingDir: "/",
			Labels:     labels(),
		},
	})
	return img, arch, err
}

// labels are ours and those of the OCI image specification (annotations.md).
func labels() map[string]string {
	return map[string]string{
		Label:                                    format,
		"org.opencontainers.image.title":         "regctl registry",
		"org.opencontainers.image.description":   "The OCI registry that regctl runs: distribution, embedded in regctl itself",
		"org.opencontainers.image.source":        "https://github.com/regctl/regctl",
		"org.opencontainers.image.documentation": "https://github.com/regctl/regctl#readme",
		"org.opencontainers.image.licenses":      "Apache-2.0",
	}
}
