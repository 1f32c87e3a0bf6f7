package scenario

import (
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
)

// noTarget is what stands for a node to which people bring the image themselves.
const noTarget = "none"

const nodesHint = "write it as root@10.0.0.5, n2:2222, or n2=jump-alias where SSH knows the node by another name; docker node ls lists the nodes"

// nodeTargets says where each node is logged in to, by its ID: as the entries of
// swarm.nodes say, else at the address that the swarm knows it by. An entry is
// [user@]host[:port] with the node's host name, address or ID in it, with ranges as in
// --hosts, or NODE=[user@]host[:port], or NODE=none. One that names no node is a usage
// fault.
func nodeTargets(nodes []engine.SwarmNode, entries []string) (map[string]string, error) {
	targets := map[string]string{}
	for _, n := range nodes {
		targets[n.ID] = n.Addr
	}
	for _, entry := range entries {
		name, target, explicit := strings.Cut(entry, "=")
		if !explicit {
			target = entry
		}
		expanded, err := fleet.Expand([]string{target})
		if err != nil {
			return nil, err
		}
		if explicit && len(expanded) > 1 {
			return nil, fault.Usage(nodesHint, "swarm.nodes: %q leads one node to %d hosts", entry, len(expanded))
		}
		for _, one := range expanded {
			t, err := host.ParseTarget(one)
			if err != nil {
				return nil, err
			}
			if !explicit {
				name = t.Host
			}
			n, err := nodeCalled(nodes, name)
			if err != nil {
				return nil, err
			}
			targets[n.ID] = one
		}
	}
	return targets, nil
}

// nodeCalled finds the one node that has a host name, an address or an ID.
func nodeCalled(nodes []engine.SwarmNode, name string) (engine.SwarmNode, error) {
	same := func(n engine.SwarmNode) bool {
		return strings.EqualFold(n.Hostname, name) || n.Addr == name || n.ID == name
	}
	i := slices.IndexFunc(nodes, same)
	if i < 0 {
		return engine.SwarmNode{}, fault.Usage(nodesHint, "swarm.nodes: no node of the swarm is called %q", name)
	}
	if slices.ContainsFunc(nodes[i+1:], same) {
		return engine.SwarmNode{}, fault.Usage("name them by their addresses", "swarm.nodes: several nodes of the swarm are called %q", name)
	}
	return nodes[i], nil
}
