package engine

import (
	"context"
	"encoding/json"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Network is a bridge network for the containers of one registry. Docker keeps the
// containers of other networks out of it.
type Network struct {
	Name     string `json:"name"`
	Registry string `json:"registry"`
	Dir      string `json:"dir"`
}

// NetworkStep has the network.
type NetworkStep struct{ Want Network }

func (s NetworkStep) ref() host.Ref { return host.Ref{Kind: KindNetwork, Path: s.Want.Name} }

// Name implements step.Step.
func (s NetworkStep) Name() string { return s.ref().String() }

// Reads implements step.Step.
func (s NetworkStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step.
func (s NetworkStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	switch {
	case now.Foreign != "":
		return step.Change{}, fault.Fail("choose another --name, or remove that one: docker network rm "+s.Want.Name, "the network name %s is taken by %s", s.Want.Name, now.Foreign)
	case now.Exists:
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: s.Name(), Action: host.Create, Diff: "of the registry's own: no other container is in it"}},
		Ops:   []host.Op{{Ref: s.ref(), Action: host.Create, Want: host.Fact{Exists: true, Data: canonical(s.Want)}}},
	}, nil
}

// Networks is the host.Handler of KindNetwork for the registry in Dir.
type Networks struct {
	Docker *Docker
	Dir    string
}

// Look implements host.Handler.
func (h Networks) Look(ctx context.Context, name string) (host.Fact, error) {
	n, err := h.Docker.api.NetworkInspect(ctx, name, network.InspectOptions{})
	if errdefs.IsNotFound(err) || err == nil && n.Name != name {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	if n.Labels[LabelSpec] == "" || !statedir.SameFolder(n.Labels[LabelDir], h.Dir) {
		return host.Fact{Exists: true, Foreign: "a network that regctl did not make for this registry"}, nil
	}
	return host.Fact{Exists: true, Data: []byte(n.Labels[LabelSpec])}, nil
}

// Do implements host.Handler. It goes on to the end when ctx ends.
func (h Networks) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if err := ctx.Err(); err != nil {
		return host.Fact{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	var err error
	if op.Action == host.Remove {
		if err = h.Docker.api.NetworkRemove(ctx, op.Path); errdefs.IsNotFound(err) {
			err = nil
		}
	} else {
		err = h.create(ctx, op.Want.Data)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func (h Networks) create(ctx context.Context, data []byte) error {
	var want Network
	if err := json.Unmarshal(data, &want); err != nil {
		return err
	}
	_, err := h.Docker.api.NetworkCreate(ctx, want.Name, network.CreateOptions{
		Driver: "bridge",
		Labels: map[string]string{LabelRegistry: want.Registry, LabelDir: want.Dir, LabelSpec: string(data)},
	})
	return err
}
