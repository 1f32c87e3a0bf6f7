package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// drainTime is how long a registry may finish its requests before it is killed.
const drainTime = 30 * time.Second

// opTime is how long an engine may take for one op, two drains included, before it
// counts as dead.
const opTime = 3 * time.Minute

// Containers is the host.Handler of KindContainer for the registry in Dir. A
// container of another directory's registry is somebody else's.
//
// A change renames the old container to a fixed side name, and only when the new
// one has started is the old one removed. A regctl that dies in between leaves a
// state that Look reports as left over, and that the next Do starts from.
type Containers struct {
	Docker *Docker
	Dir    string
}

// Do implements host.Handler. It goes on to the end when ctx ends: a request that
// is given up may still be carried out by the engine, behind our back.
func (h Containers) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if err := ctx.Err(); err != nil {
		return host.Fact{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	var err error
	switch op.Action {
	case host.Remove:
		err = errors.Join(h.remove(ctx, op.Path), h.remove(ctx, sideName(op.Path)))
	case host.Start:
		err = h.start(ctx, op.Path)
	case host.Stop:
		err = h.stop(ctx, op.Path)
	case host.Restart:
		err = h.Docker.api.ContainerRestart(ctx, op.Path, container.StopOptions{})
	default:
		var want containerFact
		if err := json.Unmarshal(op.Want.Data, &want); err != nil {
			return host.Fact{}, err
		}
		err = h.apply(ctx, want)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

// apply brings about want from whatever an earlier try may have left.
func (h Containers) apply(ctx context.Context, want containerFact) error {
	now, old, err := h.settle(ctx, want)
	if err != nil {
		return err
	}
	switch {
	case now == nil:
		err = h.create(ctx, want)
	case !now.is(want.Container):
		err = h.replace(ctx, now, want)
	case want.Running && !now.running:
		err = h.start(ctx, want.Name)
	case !want.Running && now.running:
		err = h.stop(ctx, now.id)
	}
	if old == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, h.putBack(ctx, want.Name, old))
	}
	return h.remove(ctx, sideName(want.Name))
}

// settle finds the container, and its predecessor if a change had got as far as
// having made the wanted one. Any other half-made change it takes back.
func (h Containers) settle(ctx context.Context, want containerFact) (now, old *found, err error) {
	if now, err = h.find(ctx, want.Name); err != nil {
		return nil, nil, err
	}
	if now != nil && now.foreign != "" {
		return nil, nil, &host.ForeignError{Ref: host.Ref{Kind: KindContainer, Path: want.Name}, What: now.foreign}
	}
	if old, err = h.findSide(ctx, want.Name); err != nil || old == nil {
		return now, nil, err
	}
	if now != nil && now.is(want.Container) {
		return now, old, nil
	}
	if err := h.remove(ctx, want.Name); err != nil {
		return nil, nil, err
	}
	return old, nil, h.Docker.api.ContainerRename(ctx, old.id, want.Name)
}

// replace stops the old container before the new one starts: they share a port.
func (h Containers) replace(ctx context.Context, old *found, want containerFact) error {
	if err := h.Docker.checkPorts(ctx, want.Container, old.spec.Publish); err != nil {
		return err
	}
	if err := h.stop(ctx, old.id); err != nil {
		return err
	}
	err := h.Docker.api.ContainerRename(ctx, old.id, sideName(want.Name))
	if err == nil {
		err = h.create(ctx, want)
	}
	if err != nil {
		return errors.Join(err, h.putBack(ctx, want.Name, old))
	}
	return h.remove(ctx, sideName(want.Name))
}

// putBack makes old the container again, also when time has run out.
func (h Containers) putBack(ctx context.Context, name string, old *found) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	now, err := h.find(ctx, name)
	if err == nil && now != nil && now.id != old.id {
		err = h.remove(ctx, name)
	}
	if err == nil && (now == nil || now.id != old.id) {
		err = h.Docker.api.ContainerRename(ctx, old.id, name)
	}
	if err == nil && old.running {
		err = h.start(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("container %s, as it was before, did not come back: %w", name, err)
	}
	return nil
}

// create makes a container and leaves none behind if it does not start.
func (h Containers) create(ctx context.Context, want containerFact) error {
	if want.Running {
		if err := h.Docker.checkPorts(ctx, want.Container, nil); err != nil {
			return err
		}
	}
	config, hostConfig, err := h.Docker.containerConfig(ctx, want.Container)
	if err != nil {
		return err
	}
	_, err = h.Docker.api.ContainerCreate(ctx, config, hostConfig, nil, nil, want.Name)
	if errdefs.IsConflict(err) && h.appears(ctx, want.Container) {
		err = nil
	}
	if errdefs.IsNotFound(err) {
		return fault.Fail("run the same command again", "image %s: %w", want.Image, ErrImageGone)
	}
	if err != nil {
		return err
	}
	if !want.Running {
		return nil
	}
	if err := h.start(ctx, want.Name); err != nil {
		return errors.Join(err, h.remove(ctx, want.Name))
	}
	return nil
}

// appears waits for a container that a killed regctl had asked for: the engine holds
// its name before it can be seen. It reports whether that is the wanted one.
func (h Containers) appears(ctx context.Context, want Container) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := h.find(ctx, want.Name)
		if f != nil || err != nil {
			return f != nil && f.foreign == "" && f.is(want)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (h Containers) start(ctx context.Context, name string) error {
	err := h.Docker.api.ContainerStart(ctx, name, container.StartOptions{})
	if err == nil {
		return nil
	}
	// A port may have been taken since it was looked at.
	if why := err.Error(); strings.Contains(why, "address already in use") || strings.Contains(why, "port is already allocated") {
		if f, ferr := h.find(ctx, name); ferr == nil && f != nil {
			if taken := h.Docker.checkPorts(ctx, f.spec, nil); taken != nil {
				return taken
			}
		}
	}
	return fmt.Errorf("container %s does not start: %w", name, err)
}

func (h Containers) stop(ctx context.Context, id string) error {
	return h.Docker.api.ContainerStop(ctx, id, container.StopOptions{}) // within its own StopTimeout
}

// remove removes a container of ours with its anonymous volumes; what is not
// there or not ours is left alone.
func (h Containers) remove(ctx context.Context, name string) error {
	f, err := h.find(ctx, name)
	if err != nil || f == nil || f.foreign != "" {
		return err
	}
	if f.running {
		if err := h.stop(ctx, f.id); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	err = h.Docker.api.ContainerRemove(ctx, f.id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
