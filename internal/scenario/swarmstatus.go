package scenario

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/engine"
)

// swarmRuntime asks the swarm about the service.
type swarmRuntime struct {
	services engine.Services
	name     string
}

func (s swarmRuntime) Inspect(ctx context.Context) (engine.Status, error) {
	found, err := s.services.InspectService(ctx, s.name)
	if found.Foreign != "" {
		return engine.Status{State: Absent, Detail: "its name is taken by " + found.Foreign}, err
	}
	return found.Status, err
}

// RebootCover needs no words: swarm starts its tasks.
func (s swarmRuntime) RebootCover(context.Context) string { return "" }

// Logs copies those of all tasks, wherever they run.
func (s swarmRuntime) Logs(ctx context.Context, follow bool, tail int, w io.Writer) error {
	o := engine.LogOptions{Follow: follow}
	if tail >= 0 {
		o.Tail = strconv.Itoa(tail)
	}
	return s.services.Logs(ctx, s.name, o, w)
}

// describeSwarm tells where the tasks run, and warns of those that have something else
// than serve/.
func (r *Registry) describeSwarm(ctx context.Context, s *Status, runtime runtime) {
	swarm, ok := runtime.(swarmRuntime)
	if !ok {
		return
	}
	found, err := swarm.services.InspectService(ctx, swarm.name)
	if err != nil || found.Foreign != "" {
		return
	}
	s.Tasks = found.Tasks
	switch {
	case found.State == Stopped:
	case len(found.Stale) > 0:
		s.Warnings = append(s.Warnings, "the tasks have another "+strings.Join(found.Stale, ", ")+" than "+r.Dir.Serve()+": regctl apply gives it to them")
	case found.Rolling && !found.Current():
		s.Warnings = append(s.Warnings, "swarm is updating the service: docker service ps "+swarm.name+" tells how far it is")
	}
}

// swarm is doctor's look at the nodes.
func (e *examination) swarm(ctx context.Context) {
	if !e.r.Spec.Swarmed() || e.r.site == nil {
		return
	}
	swarm, ok := e.r.site.runtime.(swarmRuntime)
	if !ok {
		return
	}
	nodes, err := swarm.services.Docker.SwarmNodes(ctx)
	if err != nil {
		e.failed("nodes", err)
		return
	}
	eligible, err := eligibleNodes(nodes, e.r.site.service.Constraints)
	if err != nil {
		e.failed("nodes", err)
		return
	}
	ready, managers := 0, 0
	var away []string
	for _, n := range eligible {
		if n.Ready {
			ready++
		} else {
			away = append(away, n.String())
		}
	}
	for _, n := range nodes {
		if n.Manager && n.Up {
			managers++
		}
	}
	const look = "docker node ls tells more"
	switch count := e.r.Spec.Count(); {
	case ready < count && !e.r.site.service.Ingress:
		e.add("nodes", CheckFailed, look, "%d registries are to run, and %d nodes can run one; away: %s", count, ready, strings.Join(away, ", "))
	case len(away) > 0:
		e.add("nodes", CheckWarning, look, "away: %s; %d others can run a registry", strings.Join(away, ", "), ready)
	default:
		e.add("nodes", CheckOK, "", "%d can run a registry, %d of the swarm's nodes are managers", ready, managers)
	}
}
