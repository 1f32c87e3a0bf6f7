package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
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

// nodesImage has nodes hold an image; nil takes it away from all that it was brought to.
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
	op := host.Op{Ref: s.ref(), Action: host.Remove, Before: now.Hash()}
	if s.nodes == nil {
		if !now.Exists {
			return step.Change{}, nil
		}
		item := step.Item{Target: fmt.Sprintf("image %s on %d nodes", s.image, len(was.Have)+len(was.Perhaps)), Action: host.Remove}
		return step.Change{Items: []step.Item{item}, Ops: []host.Op{op}}, nil
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
	op.Action, op.Want = host.Change, want.fact()
	if !now.Exists {
		op.Action = host.Create
	}
	return step.Change{Items: items, Ops: []host.Op{op}}, nil
}

// imageOnNodes are the steps that have the nodes hold the service's image, and those
// that take former ones away.
func (r *Registry) imageOnNodes(ctx context.Context, docker *engine.Docker, want engine.Service, nodes []engine.SwarmNode) (brought, former []step.Step, err error) {
	eligible, err := eligibleNodes(nodes, want.Constraints)
	if err != nil {
		return nil, nil, err
	}
	to, err := r.nodesToBring(ctx, docker, nodes, eligible)
	if err == nil && len(to) > 0 {
		brought = []step.Step{nodesImage{image: want.Image, nodes: to}}
	}
	if err == nil {
		former, err = formerImages(r.Dir, want.Image)
	}
	return brought, former, err
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

// formerImages takes away from the nodes the images that they were given before this
// one. It belongs behind what waits for the service: swarm takes an update back with them.
func formerImages(dir statedir.Dir, current string) ([]step.Step, error) {
	known, err := statedir.LoadNodes(dir)
	if err != nil {
		return nil, err
	}
	var refs []string
	for _, n := range known {
		for _, m := range n.Images {
			if m.Ref != current && !slices.Contains(refs, m.Ref) {
				refs = append(refs, m.Ref)
			}
		}
	}
	slices.Sort(refs)
	var steps []step.Step
	for _, ref := range refs {
		steps = append(steps, nodesImage{image: ref})
	}
	return steps, nil
}
