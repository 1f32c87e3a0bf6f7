package engine

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
)

// ImageID is the engine's own name for the image that a reference stands for, by which a
// service names it so that no node pulls it: sha256 and 64 hex digits. It is "" where
// the engine has no such image.
func (d *Docker) ImageID(ctx context.Context, ref string) (string, error) {
	seen, err := d.api.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	return seen.ID, err
}

// SaveImage writes the image as docker save does. Loaded elsewhere it has the same ID, if
// that engine keeps images in the same kind of store.
func (d *Docker) SaveImage(ctx context.Context, ref string, w io.Writer) error {
	body, err := d.api.ImageSave(ctx, []string{ref})
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// ImageServices lists the services of the swarm that name an image by its ID, in order.
func (d *Docker) ImageServices(ctx context.Context, id string) ([]string, error) {
	if _, in, err := d.swarmSelf(ctx); err != nil || !in { // in no swarm any more
		return nil, err
	}
	services, err := d.api.ServiceList(ctx, swarm.ServiceListOptions{})
	var names []string
	for _, s := range services {
		if c := s.Spec.TaskTemplate.ContainerSpec; c != nil && c.Image == id {
			names = append(names, s.Spec.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

// LackedImage lists by ID the nodes that a task of a service was sent to in vain, since the
// image with an ID was not there, and when that was last.
func (d *Docker) LackedImage(ctx context.Context, service, id string) (map[string]time.Time, error) {
	if _, in, err := d.swarmSelf(ctx); err != nil || !in {
		return nil, err
	}
	tasks, err := d.api.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", service))})
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	lacked := map[string]time.Time{}
	for _, t := range tasks {
		if t.Status.State == swarm.TaskStateRejected && strings.Contains(t.Status.Err, "No such image: "+id) && t.Status.Timestamp.After(lacked[t.NodeID]) {
			lacked[t.NodeID] = t.Status.Timestamp
		}
	}
	return lacked, err
}
