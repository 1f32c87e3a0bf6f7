package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Services is the host.Handler of KindService for the registry in Dir. A service of
// another directory's registry, or of another manager's, is somebody else's.
//
// It only tells swarm what is wanted, which goes on to bring that about whether
// regctl lives or not; see Rolls for who waits. What regctl is killed over leaves
// configs or secrets that no service names: Look counts them, and the next Do uses or
// removes them.
type Services struct {
	Docker *Docker
	Dir    string
	// Files reads what the tasks are to be given; nil for those who give nothing.
	Files func() ([]ServedFile, error)
}

// Do implements host.Handler. It goes on to the end when ctx ends.
func (h Services) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if err := ctx.Err(); err != nil {
		return host.Fact{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opTime)
	defer cancel()
	node, in, err := h.Docker.swarmSelf(ctx)
	if err == nil && !in && op.Action != host.Remove {
		err = managing(swarm.Info{}, h.Docker.host)
	}
	if err != nil {
		return host.Fact{}, err
	}
	var want serviceFact
	if op.Want.Exists {
		if err := json.Unmarshal(op.Want.Data, &want); err != nil {
			return host.Fact{}, err
		}
	}
	switch {
	case op.Action == host.Remove, want.Leftover:
		err = h.remove(ctx, op.Path, node)
	case op.Action == host.Stop:
		err = h.scale(ctx, op.Path, node, false)
	case op.Action == host.Start && !op.Want.Exists:
		err = h.scale(ctx, op.Path, node, true)
	case !op.Want.Exists:
		err = h.force(ctx, op.Path, node)
	default:
		err = h.apply(ctx, want, node)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

// apply makes the service, or updates it where it differs.
func (h Services) apply(ctx context.Context, want serviceFact, node string) error {
	now, err := h.find(ctx, want.Name, node)
	if err != nil {
		return err
	}
	if now != nil && now.foreign != "" {
		return &host.ForeignError{Ref: host.Ref{Kind: KindService, Path: want.Name}, What: now.foreign}
	}
	files, err := h.Files()
	if err != nil {
		return err
	}
	seen, err := h.Docker.api.ImageInspect(ctx, want.Image)
	if errdefs.IsNotFound(err) {
		return fault.Fail("run the same command again", "image %s: %w", want.Image, ErrImageGone)
	}
	if err != nil {
		return err
	}
	given, err := h.placeFiles(ctx, want.Service, node, files)
	if err != nil {
		return err
	}
	if now == nil {
		spec := h.Docker.serviceSpec(want.Service, node, seen.ID, given, want.Running, nil)
		_, err := h.Docker.api.ServiceCreate(ctx, spec, swarm.ServiceCreateOptions{})
		return err
	}
	if string(canonical(now.made)) == string(canonical(want.Service)) && now.running() == want.Running && len(stale(now.made, placedIn(now.Spec), files)) == 0 {
		return nil
	}
	return h.update(ctx, want.Name, node, func(s *foundService) swarm.ServiceSpec {
		return h.Docker.serviceSpec(want.Service, node, seen.ID, given, want.Running, &s.Spec)
	})
}

// scale starts or stops all tasks. It returns when those that are stopped have ended.
func (h Services) scale(ctx context.Context, name, node string, running bool) error {
	err := h.update(ctx, name, node, func(s *foundService) swarm.ServiceSpec {
		spec := s.Spec
		spec.Mode = swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr(replicasOf(s.made, running))}}
		return spec
	})
	if err != nil || running {
		return err
	}
	now, err := h.find(ctx, name, node)
	if err != nil || now == nil {
		return err
	}
	return h.await(ctx, "the tasks of service "+name+" to end", func() (bool, error) {
		tasks, err := h.Docker.tasksOf(ctx, now.ID)
		return !slices.ContainsFunc(tasks, holds), err
	})
}

// holds reports whether a task has a container that runs, as far as is known.
func holds(t swarm.Task) bool {
	return slices.Contains([]swarm.TaskState{swarm.TaskStateStarting, swarm.TaskStateRunning}, t.Status.State)
}

// force has swarm make every task anew.
func (h Services) force(ctx context.Context, name, node string) error {
	return h.update(ctx, name, node, func(s *foundService) swarm.ServiceSpec {
		spec := s.Spec
		spec.TaskTemplate.ForceUpdate++
		return spec
	})
}

// update changes the service as it is by then: swarm itself changes it when it rolls
// back, and refuses a change of what it no longer is.
func (h Services) update(ctx context.Context, name, node string, change func(*foundService) swarm.ServiceSpec) error {
	for try := 0; ; try++ {
		now, err := h.find(ctx, name, node)
		switch {
		case err != nil:
			return err
		case now == nil:
			return fault.Fail("regctl start makes it", "there is no service %s", name)
		case now.foreign != "":
			return &host.ForeignError{Ref: host.Ref{Kind: KindService, Path: name}, What: now.foreign}
		}
		_, err = h.Docker.api.ServiceUpdate(ctx, now.ID, now.Version, change(now), swarm.ServiceUpdateOptions{})
		if err == nil || try == 5 || !strings.Contains(err.Error(), "out of sequence") {
			return err
		}
	}
}

// remove takes the service away, waits for what it ran, and takes its configs and
// secrets away.
func (h Services) remove(ctx context.Context, name, node string) error {
	if node == "" {
		return nil // in no swarm any more
	}
	now, err := h.find(ctx, name, node)
	if err != nil {
		return err
	}
	if now != nil && now.foreign != "" {
		return &host.ForeignError{Ref: host.Ref{Kind: KindService, Path: name}, What: now.foreign}
	}
	if now != nil {
		if err := h.Docker.api.ServiceRemove(ctx, now.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	// Of one that was removed by an earlier try only the name is known, and what it left
	// on other machines is for them to end.
	if err := h.await(ctx, "the containers of service "+name+" to end", func() (bool, error) { return h.ended(ctx, name, now) }); err != nil {
		return err
	}
	return h.removeObjects(ctx, name, node, placed{})
}

// ended reports whether neither this engine nor, as far as it is known, another has
// anything left of the service.
func (h Services) ended(ctx context.Context, name string, was *foundService) (bool, error) {
	here, err := h.Docker.api.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", "com.docker.swarm.service.name="+name), filters.Arg("label", LabelRegistry+"="+name)),
	})
	if err != nil || len(here) > 0 || was == nil {
		return len(here) == 0, err
	}
	nodes, err := h.Docker.SwarmNodes(ctx)
	if err != nil {
		return false, err
	}
	tasks, err := h.Docker.api.TaskList(ctx, swarm.TaskListOptions{})
	return !slices.ContainsFunc(tasks, func(t swarm.Task) bool {
		return t.ServiceID == was.ID && holds(t) && slices.ContainsFunc(nodes, func(n SwarmNode) bool { return n.ID == t.NodeID && n.Up })
	}), err
}

// endTime is how long tasks may take to end: they are given stopGrace, and then killed.
const endTime = stopGrace + 25*time.Second

func (h Services) await(ctx context.Context, what string, done func() (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return errors.Join(ctx.Err(), fault.Fail("docker service ps, docker node ls and docker ps tell more; run the same command again", "waited %s for %s", endTime, what))
		}
	}
}

// tasksOf lists all tasks of a service, also those of the past.
func (d *Docker) tasksOf(ctx context.Context, service string) ([]swarm.Task, error) {
	tasks, err := d.api.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", service))})
	if err != nil {
		err = fmt.Errorf("tasks of the service: %w", err)
	}
	return tasks, err
}
