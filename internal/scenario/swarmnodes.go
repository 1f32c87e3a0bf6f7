package scenario

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
)

// PickPublish settles how a service is published: ingress needs IPVS, which a kernel
// may lack.
func (r *Registry) PickPublish() string {
	if hasIPVS(os.DirFS("/")) {
		return spec.PublishIngress
	}
	return spec.PublishHost
}

// hasIPVS reports whether the kernel of this machine balances for the engine: it is
// built in, loaded, or there to be loaded.
func hasIPVS(root fs.FS) bool {
	for _, path := range []string{"proc/net/ip_vs", "sys/module/ip_vs"} {
		if _, err := fs.Stat(root, path); err == nil {
			return true
		}
	}
	release, err := fs.ReadFile(root, "proc/sys/kernel/osrelease")
	if err != nil {
		return false
	}
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		data, err := fs.ReadFile(root, "lib/modules/"+strings.TrimSpace(string(release))+"/"+list)
		if err == nil && strings.Contains(string(data), "/ip_vs.ko") {
			return true
		}
	}
	return false
}

// swarmPreflight refuses what no swarm could place.
func (r *Registry) swarmPreflight(ctx context.Context, docker *engine.Docker, nodes []engine.SwarmNode, want engine.Service, p Place) error {
	if err := r.redisPreflight(ctx, p); err != nil {
		return err
	}
	eligible, err := eligibleNodes(nodes, want.Constraints)
	if err != nil {
		return err
	}
	fresh := r.state.Phase != statedir.PhaseReady
	if fresh { // one that is away for now is no reason to refuse a change
		eligible = slices.DeleteFunc(eligible, func(n engine.SwarmNode) bool { return !n.Ready })
	}
	needed := 1
	if !want.Ingress {
		needed = want.Replicas
	}
	if len(eligible) < needed {
		return fault.Fail("docker node ls lists the nodes; lower --replicas, or change --constraint",
			"%d registries need as many nodes, since each publishes port %d of its own: %s", want.Replicas, want.Port, nodesWords(eligible))
	}
	if fresh && !want.Ingress && slices.ContainsFunc(eligible, func(n engine.SwarmNode) bool { return n.Self }) {
		return r.portsFree(ctx, docker, want)
	}
	return nil
}

func nodesWords(nodes []engine.SwarmNode) string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.String())
	}
	if len(names) == 0 {
		return "there is none that is up and meets the constraints"
	}
	return fmt.Sprintf("there are %d that are up and meet the constraints (%s)", len(names), strings.Join(names, ", "))
}

// eligibleNodes are those on which swarm may place a task.
func eligibleNodes(nodes []engine.SwarmNode, constraints []string) ([]engine.SwarmNode, error) {
	var all []engine.Constraint
	for _, text := range constraints {
		c, err := engine.ParseConstraint(text)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n engine.SwarmNode) bool { return !n.Meets(all...) }), nil
}

// portsFree refuses a port of this machine that somebody else holds, unless the
// service is there already, made by a command that was killed.
func (r *Registry) portsFree(ctx context.Context, docker *engine.Docker, want engine.Service) error {
	seen, err := r.site.host.Look(ctx, []host.Ref{r.site.runs})
	if now := seen[r.site.runs]; err != nil || now.Foreign != "" || r.site.isRunning(now) { // somebody else's name is told of before a port
		return err
	}
	return docker.CheckPorts(ctx, engine.Container{
		Name: want.Name, Dir: want.Dir, Publish: []engine.Port{{Host: want.Port, Container: want.Inside}},
	})
}
