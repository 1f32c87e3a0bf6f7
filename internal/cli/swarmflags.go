package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

// swarmFlags say how a registry runs on the nodes of a Docker Swarm.
type swarmFlags struct {
	publish            string
	constraints, nodes []string
	shared             bool
}

func (s *swarmFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.constraints, "constraint", nil, "with --runtime swarm: only on nodes of which this is true, such as node.labels.registry==yes; repeat it")
	f.StringVar(&s.publish, "publish", "", "with --runtime swarm: host (a node publishes the port of its own registry) or ingress (every node's port leads to all; default where the kernel has IPVS)")
	f.StringSliceVar(&s.nodes, "nodes", nil, "with --runtime swarm: [user@]host[:port] of nodes that SSH reaches otherwise than the swarm does; the image goes there")
	f.BoolVar(&s.shared, "storage-shared", false, "with --runtime swarm: DIR/data is one file system on every node")
	_ = cmd.RegisterFlagCompletionFunc("publish", cobra.FixedCompletions([]string{spec.PublishHost, spec.PublishIngress}, cobra.ShellCompDirectiveNoFileComp))
}

func (s *swarmFlags) over(given func(string) bool, out *spec.Spec) {
	if given("constraint") {
		out.Swarm.Constraints = slices.Clone(s.constraints)
	}
	if given("publish") {
		out.Swarm.Publish = s.publish
	}
	if given("nodes") {
		out.Swarm.Nodes = slices.Clone(s.nodes)
	}
	if given("storage-shared") {
		out.Storage.Shared = s.shared
	}
}
