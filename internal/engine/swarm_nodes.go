package engine

import (
	"cmp"
	"context"
	"net"
	"slices"

	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/fault"
)

// SwarmNode is one machine of the Docker Swarm that this engine manages.
type SwarmNode struct {
	ID       string
	Hostname string
	// Addr is the address that the swarm knows it by, without a port.
	Addr    string
	OS      string            // "linux"
	Arch    string            // as Go names it: amd64, arm64 …
	Manager bool              // it is a manager; else a worker
	Self    bool              // it is this machine
	Up      bool              // its engine is in touch with the managers
	Ready   bool              // it is up, and tasks may be placed on it: neither drained nor paused
	Labels  map[string]string // node.labels
	Engine  map[string]string // engine.labels

	uname string // Arch as the engine names it, which is what a constraint compares
}

// String is what people know the node by.
func (n SwarmNode) String() string { return cmp.Or(n.Hostname, n.Addr, n.ID) }

// SwarmNodes lists the machines of the swarm, ordered by host name: those that are
// down or drained too. Where this engine does not manage a swarm the error says so,
// with what to type.
func (d *Docker) SwarmNodes(ctx context.Context) ([]SwarmNode, error) {
	info, err := d.api.Info(ctx)
	if err != nil {
		return nil, err
	}
	if err := managing(info.Swarm, d.host); err != nil {
		return nil, err
	}
	listed, err := d.api.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, fault.Fail("see `docker node ls`", "list the nodes of the swarm: %w", err)
	}
	nodes := make([]SwarmNode, len(listed))
	for i, n := range listed {
		nodes[i] = swarmNode(n)
		nodes[i].Self = n.ID == info.Swarm.NodeID
	}
	slices.SortFunc(nodes, func(a, b SwarmNode) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	return nodes, nil
}

func swarmNode(n swarm.Node) SwarmNode {
	made := SwarmNode{
		ID:       n.ID,
		Hostname: n.Description.Hostname,
		Addr:     n.Status.Addr,
		OS:       n.Description.Platform.OS,
		Arch:     n.Description.Platform.Architecture,
		Manager:  n.Spec.Role == swarm.NodeRoleManager,
		Up:       n.Status.State == swarm.NodeStateReady,
		Ready:    n.Status.State == swarm.NodeStateReady && n.Spec.Availability == swarm.NodeAvailabilityActive,
		Labels:   n.Spec.Labels,
		Engine:   n.Description.Engine.Labels,
		uname:    n.Description.Platform.Architecture,
	}
	if known, ok := goArch[made.Arch]; ok {
		made.Arch = known
	}
	// The manager that leads has been seen to give itself as 0.0.0.0.
	if n.ManagerStatus != nil && (made.Addr == "" || net.ParseIP(made.Addr).IsUnspecified()) {
		if addr, _, err := net.SplitHostPort(n.ManagerStatus.Addr); err == nil {
			made.Addr = addr
		}
	}
	return made
}

// managing refuses an engine that cannot make a service.
func managing(s swarm.Info, host string) error {
	switch {
	case s.ControlAvailable && s.LocalNodeState == swarm.LocalNodeStateActive:
		return nil
	case s.LocalNodeState == swarm.LocalNodeStateActive:
		return fault.Fail("run regctl on a manager, or make this one a manager: docker node promote, on one that is", "the Docker Engine at %s is a worker of a swarm, not a manager", host)
	case s.LocalNodeState == swarm.LocalNodeStateLocked:
		return fault.Fail("unlock it: docker swarm unlock", "the swarm of the Docker Engine at %s is locked", host)
	case s.LocalNodeState == swarm.LocalNodeStateInactive, s.LocalNodeState == "":
		return fault.Fail("make it one: docker swarm init", "the Docker Engine at %s is no swarm manager", host)
	}
	return fault.Fail("see `docker info`", "the Docker Engine at %s is no swarm manager: its state is %s: %s", host, s.LocalNodeState, cmp.Or(s.Error, "it says no more"))
}
