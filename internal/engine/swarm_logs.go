package engine

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Logs copies what the tasks of a service wrote, wherever they run: one after the
// other, those that ended first; with follow as it comes, until ctx ends. What is on a
// node that is away is left out: swarm would give up over it, after what it has.
func (h Services) Logs(ctx context.Context, name string, o LogOptions, w io.Writer) error {
	node, in, err := h.Docker.swarmSelf(ctx)
	if err != nil {
		return err
	}
	var now *foundService
	if in {
		now, err = h.find(ctx, name, node)
	}
	switch {
	case err != nil:
		return err
	case now == nil:
		return fault.Fail("regctl start makes it", "there is no service %s", name)
	case now.foreign != "":
		return &host.ForeignError{Ref: host.Ref{Kind: KindService, Path: name}, What: now.foreign}
	}
	options := container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: o.Follow, Tail: cmp.Or(o.Tail, "all")}
	if o.Follow {
		body, err := h.Docker.api.ServiceLogs(ctx, now.ID, options)
		if err == nil {
			err = copyLog(body, w)
		}
		if ended := ctx.Err() != nil; ended {
			err = nil // that is how following ends
		}
		return err
	}
	tasks, err := h.logged(ctx, now.ID)
	for _, t := range tasks {
		var body io.ReadCloser
		if body, err = h.Docker.api.TaskLogs(ctx, t.ID, options); err == nil {
			err = copyLog(body, w)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func copyLog(body io.ReadCloser, w io.Writer) error {
	defer body.Close()
	_, err := stdcopy.StdCopy(w, w, body)
	return err
}

// logged are the tasks of a service that had a container, on nodes that can be asked.
func (h Services) logged(ctx context.Context, service string) ([]swarm.Task, error) {
	nodes, err := h.Docker.SwarmNodes(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := h.Docker.tasksOf(ctx, service)
	tasks = slices.DeleteFunc(tasks, func(t swarm.Task) bool {
		there := slices.ContainsFunc(nodes, func(n SwarmNode) bool { return n.ID == t.NodeID && n.Up })
		return !there || t.Status.ContainerStatus == nil || t.Status.ContainerStatus.ContainerID == ""
	})
	slices.SortFunc(tasks, func(a, b swarm.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return tasks, err
}
