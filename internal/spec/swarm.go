package spec

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Swarm says how a registry runs on the nodes of a Docker Swarm.
type Swarm struct {
	// Publish is host, where each node publishes the port of the registry that runs on
	// it, or ingress, where every node leads to any of them; settled by init.
	Publish string `yaml:"publish,omitempty"`
	// Constraints choose nodes: node.labels.KEY==VALUE, node.role!=VALUE …
	Constraints []string `yaml:"constraints,omitempty"`
	// Nodes say how nodes are reached by SSH where that is not as the swarm's address of
	// them: [user@]host[:port], matched by host name or address.
	Nodes []string `yaml:"nodes,omitempty"`
}

// Values that swarm.publish takes.
const (
	PublishHost    = "host"
	PublishIngress = "ingress"
)

// Swarmed reports whether the registry is a service of a Docker Swarm.
func (s Spec) Swarmed() bool { return s.Runtime == RuntimeSwarm }

// Anchored reports whether it is bound to this machine, whose disk has its images.
func (s Spec) Anchored() bool {
	return s.Swarmed() && s.Storage.Driver == StorageFilesystem && !s.Storage.Shared
}

// serviceForm is what swarm takes for a service's name.
var serviceForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$`)

// constraintForm is what swarm takes, but for the keys, which a manager knows.
var constraintForm = regexp.MustCompile(`^\s*[a-zA-Z_][a-zA-Z0-9_.-]+\s*[!=]=\s*\S.*$`)

func (s Spec) checkSwarm() *finding {
	w := s.Swarm
	if !s.Swarmed() {
		switch {
		case s.Runtime == "": // not settled yet
		case w.Publish+strings.Join(w.Constraints, "")+strings.Join(w.Nodes, "") != "":
			return newFinding("swarm", "add --runtime swarm, or leave it out", "only --runtime swarm has a use for it")
		case s.Storage.Shared:
			return newFinding("storage.shared", "add --runtime swarm, or leave it out", "only --runtime swarm has a use for it")
		}
		return nil
	}
	if w.Publish != "" {
		if f := choice("swarm.publish", w.Publish, PublishHost, PublishIngress); f != nil {
			return f
		}
	}
	for _, text := range w.Constraints {
		if !constraintForm.MatchString(text) {
			return newFinding("swarm.constraints", "as docker service create --constraint has them: node.labels.zone==a", "%q is no constraint", text)
		}
	}
	for _, text := range w.Nodes {
		if text == "" || strings.ContainsFunc(text, unicode.IsSpace) {
			return newFinding("swarm.nodes", "for example root@10.0.0.5:2222", "%q is not [USER@]HOST[:PORT]", text)
		}
	}
	return s.checkSwarmWith()
}

// checkSwarmWith refuses what does not go with a swarm.
func (s Spec) checkSwarmWith() *finding {
	const oneMachine = "leave it out, or use --runtime docker"
	switch {
	case !serviceForm.MatchString(s.Name):
		return newFinding("name", "letters, digits, hyphens and underscores; a letter or digit first and last", "%q cannot name a service of a swarm", s.Name)
	case s.Proxied():
		return newFinding("proxy.kind", "leave it out: have the first of hosts resolve to several nodes, or put your own balancer in front", "a proxy on this machine would be the one that all nodes hang on")
	case s.Bind != "":
		return newFinding("bind", "leave it out, or use --runtime docker", "a service of a swarm is published on all addresses of a node")
	case s.Image != "":
		return newFinding("image", oneMachine, "each node would pull %s for itself; a swarm runs the registry inside regctl, which is brought to the nodes", s.Image)
	case s.Storage.Volume != "" && s.Storage.Shared:
		return newFinding("storage.volume", "mount the shared file system at DIR/data of each node", "each node would make a volume of that name for itself")
	case s.Storage.Shared && s.Storage.Driver != StorageFilesystem:
		return newFinding("storage.shared", "leave it out", "%s storage needs no saying that nodes share it", s.Storage.Driver)
	case s.TLS.Mode == TLSLetsEncrypt && s.TLS.Challenge != ChallengeDNS:
		return newFinding("tls.challenge", "use --challenge dns-01 with --dns-provider", "a CA that calls back would reach any node, and only this one knows the answer")
	}
	return nil
}

// checkSwarmReplicas refuses several registries that cannot share their images.
func (s Spec) checkSwarmReplicas() *finding {
	if s.Anchored() {
		return newFinding("replicas", "use --storage s3, or mount one file system at DIR/data of each node and say --storage-shared",
			"the images are in a folder of this machine, which the other nodes do not have: %d registries would each have images of their own", s.Count())
	}
	return nil
}

// swarm writes the section, where there is something to say.
func (w *writer) swarm(s Spec) {
	if !s.Swarmed() {
		return
	}
	w.line("swarm:")
	if s.Swarm.Publish != "" {
		w.key("  publish", s.Swarm.Publish, "host (a node publishes its own registry's port) or ingress (every node's leads to all)")
	}
	if len(s.Swarm.Constraints) > 0 {
		w.key("  constraints", s.Swarm.Constraints, "")
	} else {
		w.line(fmt.Sprintf("%-24s # %s", `  # constraints: ["node.labels.registry==yes"]`, "which nodes may run it"))
	}
	if len(s.Swarm.Nodes) > 0 {
		w.line("  # How nodes are reached by SSH, to bring them the image.")
		w.key("  nodes", s.Swarm.Nodes, "")
	}
}
