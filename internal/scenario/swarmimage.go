package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// kindNodeImage is an image on the nodes of a swarm other than this machine: its
// Ref.Path is the image's reference, Fact.Data a nodesFact.
//
// No node can be asked through the swarm what images it has, and none is to pull one:
// the name of an image of ours means nothing to a public registry, where anybody may
// give it a meaning. So the service names the image by its ID, which is never pulled,
// and regctl brings it to each node that a task may be placed on, before one is.
const kindNodeImage host.Kind = "image on the nodes"

// onNodes names it for people.
func onNodes(ref host.Ref) string { return "image " + ref.Path + " on the nodes" }

// nodesFact tells by our record which nodes have an image, by their IDs.
type nodesFact struct {
	Have []string `json:"have"`
	// Perhaps are those that it was on its way to when regctl was killed.
	Perhaps []string `json:"perhaps,omitempty"`
}

func (n nodesFact) fact() host.Fact {
	if len(n.Have)+len(n.Perhaps) == 0 {
		return host.Fact{}
	}
	slices.Sort(n.Have)
	slices.Sort(n.Perhaps)
	data, _ := json.Marshal(n) // strings always marshal
	return host.Fact{Exists: true, Data: data}
}

func parseNodes(f host.Fact) (n nodesFact, err error) {
	if f.Exists {
		err = json.Unmarshal(f.Data, &n)
	}
	return n, err
}

// nodesImage has nodes hold an image.
type nodesImage struct {
	image string
	nodes []engine.SwarmNode
}

func (s nodesImage) ref() host.Ref     { return host.Ref{Kind: kindNodeImage, Path: s.image} }
func (s nodesImage) Name() string      { return s.ref().String() }
func (s nodesImage) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step. Nodes that have it and are no longer asked to stay as they are.
func (s nodesImage) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	was, err := parseNodes(now)
	if err != nil {
		return step.Change{}, err
	}
	var items []step.Item
	want := nodesFact{Have: slices.Clone(was.Have)}
	for _, n := range s.nodes {
		if slices.Contains(was.Have, n.ID) {
			continue
		}
		want.Have = append(want.Have, n.ID)
		items = append(items, step.Item{Target: fmt.Sprintf("image %s on %s", s.image, n), Action: host.Create, Diff: "load it there by SSH, if that node has not got it"})
	}
	if len(items) == 0 {
		return step.Change{}, nil
	}
	op := host.Op{Ref: s.ref(), Action: host.Change, Want: want.fact(), Before: now.Hash()}
	if !now.Exists {
		op.Action = host.Create
	}
	return step.Change{Items: items, Ops: []host.Op{op}}, nil
}

// imageOnNodes is the step that has the nodes hold the service's image.
func (r *Registry) imageOnNodes(ctx context.Context, docker *engine.Docker, want engine.Service, nodes []engine.SwarmNode) ([]step.Step, error) {
	eligible, err := eligibleNodes(nodes, want.Constraints)
	if err != nil {
		return nil, err
	}
	to, err := r.nodesToBring(ctx, docker, nodes, eligible)
	if err != nil || len(to) == 0 {
		return nil, err
	}
	return []step.Step{nodesImage{want.Image, to}}, nil
}

// nodesToBring are those of the eligible that are up, and that regctl is to bring the
// image to. One that could not run it is a usage fault.
func (r *Registry) nodesToBring(ctx context.Context, docker *engine.Docker, nodes, eligible []engine.SwarmNode) (to []engine.SwarmNode, err error) {
	targets, err := nodeTargets(nodes, r.Spec.Swarm.Nodes)
	if err != nil {
		return nil, err
	}
	arch, err := docker.Arch(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range eligible {
		switch {
		case n.Self, !n.Ready:
		case n.OS != "linux" || n.Arch != arch:
			return nil, fault.Usage("leave it out: --constraint node.platform.arch=="+uname(arch), "the image is for linux/%s, and node %s is %s/%s", arch, n, n.OS, n.Arch)
		case targets[n.ID] != noTarget:
			to = append(to, n)
		}
	}
	return to, nil
}

// uname is an architecture as swarm's constraints have it.
func uname(arch string) string {
	if name, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "arm": "armv7l"}[arch]; ok {
		return name
	}
	return arch
}
