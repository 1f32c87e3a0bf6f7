package engine

import (
	"context"
	"encoding/json"
	"os"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/volume"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Volume is a named volume for a registry's data. UID and GID are its owner as the
// host sees it.
type Volume struct {
	Name     string `json:"name"`
	Registry string `json:"registry,omitempty"`
	Dir      string `json:"dir,omitempty"`
	UID      int    `json:"uid,omitempty"`
	GID      int    `json:"gid,omitempty"`
}

// VolumeStep has a named volume. One that is there already is used as it is.
type VolumeStep struct{ Want Volume }

func (s VolumeStep) ref() host.Ref { return host.Ref{Kind: KindVolume, Path: s.Want.Name} }

// Name implements step.Step.
func (s VolumeStep) Name() string { return s.ref().String() }

// Reads implements step.Step.
func (s VolumeStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step.
func (s VolumeStep) Plan(seen host.Facts) (step.Change, error) {
	if seen[s.ref()].Exists {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: s.Name(), Action: host.Create, Diff: "for the registry's data"}},
		Ops:   []host.Op{{Ref: s.ref(), Action: host.Create, Want: host.Fact{Exists: true, Data: canonical(s.Want)}}},
	}, nil
}

// Volumes is the host.Handler of KindVolume for the registry in Dir. It removes
// only volumes that it made.
type Volumes struct {
	Docker *Docker
	Dir    string
}

// Look implements host.Handler. A volume that we did not make is known by its name
// alone.
func (h Volumes) Look(ctx context.Context, name string) (host.Fact, error) {
	v, err := h.Docker.api.VolumeInspect(ctx, name)
	if errdefs.IsNotFound(err) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	spec := v.Labels[LabelSpec]
	if !statedir.SameFolder(v.Labels[LabelDir], h.Dir) || spec == "" {
		spec = string(canonical(Volume{Name: name}))
	}
	return host.Fact{Exists: true, Data: []byte(spec)}, nil
}

// Do implements host.Handler. It goes on to the end when ctx ends.
func (h Volumes) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if err := ctx.Err(); err != nil {
		return host.Fact{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	var err error
	if op.Action == host.Remove {
		err = h.remove(ctx, op.Path)
	} else {
		err = h.create(ctx, op.Want.Data)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func (h Volumes) create(ctx context.Context, data []byte) error {
	var want Volume
	if err := json.Unmarshal(data, &want); err != nil {
		return err
	}
	made, err := h.Docker.api.VolumeCreate(ctx, volume.CreateOptions{
		Name:   want.Name,
		Labels: map[string]string{LabelRegistry: want.Registry, LabelDir: want.Dir, LabelSpec: string(canonical(want))},
	})
	if err != nil {
		return err
	}
	// Only root gets at the engine's folders. For anybody else our image's folder
	// lends the volume its mode when first mounted at /var/lib/registry.
	if os.Geteuid() == 0 {
		return os.Chown(made.Mountpoint, want.UID, want.GID)
	}
	return nil
}

func (h Volumes) remove(ctx context.Context, name string) error {
	v, err := h.Docker.api.VolumeInspect(ctx, name)
	if err == nil && statedir.SameFolder(v.Labels[LabelDir], h.Dir) {
		err = h.Docker.api.VolumeRemove(ctx, name, false)
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
