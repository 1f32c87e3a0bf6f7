package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

// found is a container as the engine has it.
type found struct {
	id      string
	spec    Container
	running bool
	foreign string
}

func (f *found) is(want Container) bool { return bytes.Equal(canonical(f.spec), canonical(want)) }

// sideName is where a container waits while its successor starts.
func sideName(name string) string { return name + ".regctl-old" }

// Look implements host.Handler.
func (h Containers) Look(ctx context.Context, name string) (host.Fact, error) {
	now, err := h.find(ctx, name)
	if err != nil {
		return host.Fact{}, err
	}
	if now != nil && now.foreign != "" {
		return host.Fact{Exists: true, Foreign: now.foreign}, nil
	}
	old, err := h.findSide(ctx, name)
	if err != nil {
		return host.Fact{}, err
	}
	switch {
	case now == nil && old == nil:
		return host.Fact{}, nil
	case now == nil:
		return containerFact{Container: old.spec, Leftover: true}.fact(), nil
	}
	return containerFact{Container: now.spec, Running: now.running, Leftover: old != nil}.fact(), nil
}

func (h Containers) find(ctx context.Context, name string) (*found, error) {
	c, err := h.Docker.api.ContainerInspect(ctx, name)
	if isAbsent(c, err, name) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return identify(c, h.Dir), nil
}

// isAbsent knows that the engine also answers to the beginning of an id.
func isAbsent(c container.InspectResponse, err error, name string) bool {
	return errdefs.IsNotFound(err) || err == nil && c.Name != "/"+name
}

// identify tells whether a container is that of the registry in dir.
func identify(c container.InspectResponse, dir string) *found {
	f := &found{id: c.ID, running: c.State.Running || c.State.Restarting}
	labels := c.Config.Labels
	switch err := json.Unmarshal([]byte(labels[LabelSpec]), &f.spec); {
	case labels[LabelRegistry] == "" || err != nil:
		f.foreign = fmt.Sprintf("a container of image %s, created %s, that regctl did not make", c.Config.Image, c.Created)
	case !statedir.SameFolder(labels[LabelDir], dir):
		f.foreign = "the container of the registry in " + labels[LabelDir]
	}
	return f
}

func (h Containers) findSide(ctx context.Context, name string) (*found, error) {
	f, err := h.find(ctx, sideName(name))
	if err != nil || f == nil || f.foreign != "" {
		return nil, err
	}
	return f, nil
}
