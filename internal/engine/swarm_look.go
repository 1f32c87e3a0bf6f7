package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

// foundService is a service as the swarm has it.
type foundService struct {
	swarm.Service
	made    Service
	foreign string
}

func (f *foundService) running() bool {
	r := f.Spec.Mode.Replicated
	return r != nil && r.Replicas != nil && *r.Replicas > 0
}

// rollsBack reports whether swarm is at taking an update back.
func (f *foundService) rollsBack() bool {
	return f.UpdateStatus != nil && f.UpdateStatus.State == swarm.UpdateStateRollbackStarted
}

// Look implements host.Handler.
func (h Services) Look(ctx context.Context, name string) (host.Fact, error) {
	node, in, err := h.Docker.swarmSelf(ctx)
	if err != nil || !in {
		return host.Fact{}, err
	}
	now, err := h.find(ctx, name, node)
	switch {
	case err != nil:
		return host.Fact{}, err
	case now == nil:
		all, err := h.objects(ctx, name)
		if err != nil || len(h.ours(all, node)) == 0 {
			return host.Fact{}, err
		}
		return serviceFact{Leftover: true}.fact(), nil
	case now.foreign != "":
		return host.Fact{Exists: true, Foreign: now.foreign}, nil
	}
	fact := serviceFact{Service: now.made, Running: now.running()}
	if h.Files != nil {
		files, err := h.Files()
		if err != nil {
			return host.Fact{}, err
		}
		fact.Stale = stale(now.made, placedIn(now.Spec), files)
	}
	return fact.fact(), nil
}

// find is nil where there is no such service.
func (h Services) find(ctx context.Context, name, node string) (*foundService, error) {
	s, _, err := h.Docker.api.ServiceInspectWithRaw(ctx, name, swarm.ServiceInspectOptions{})
	// The engine also answers to an id, or to the beginning of one.
	if errdefs.IsNotFound(err) || err == nil && s.Spec.Name != name {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := &foundService{Service: s}
	labels := s.Spec.Labels
	switch err := json.Unmarshal([]byte(labels[LabelSpec]), &f.made); {
	case labels[LabelRegistry] == "" || err != nil:
		f.foreign = fmt.Sprintf("a service, created %s, that regctl did not make", s.CreatedAt.UTC().Format("2006-01-02 15:04:05"))
	case labels[LabelNode] != node:
		f.foreign = "the service of the registry in " + labels[LabelDir] + " of the manager with the id " + labels[LabelNode]
	case !statedir.SameFolder(labels[LabelDir], h.Dir):
		f.foreign = "the service of the registry in " + labels[LabelDir]
	}
	return f, nil
}

// swarmSelf is this machine's id in the swarm; in is false where it is in none, and so
// has no services. A worker is an error.
func (d *Docker) swarmSelf(ctx context.Context) (id string, in bool, err error) {
	info, err := d.api.Info(ctx)
	if err != nil {
		return "", false, err
	}
	if state := info.Swarm.LocalNodeState; state == swarm.LocalNodeStateInactive || state == "" {
		return "", false, nil
	}
	return info.Swarm.NodeID, true, managing(info.Swarm, d.host)
}
