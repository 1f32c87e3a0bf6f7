package engine

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/fault"
)

func TestSwarmNode(t *testing.T) {
	leader := swarm.Node{ID: "id1"}
	leader.Spec.Role, leader.Spec.Availability = swarm.NodeRoleManager, swarm.NodeAvailabilityActive
	leader.Description.Hostname = "n1"
	leader.Description.Platform = swarm.Platform{Architecture: "x86_64", OS: "linux"}
	leader.Status = swarm.NodeStatus{State: swarm.NodeStateReady, Addr: "0.0.0.0"}
	leader.ManagerStatus = &swarm.ManagerStatus{Addr: "[2001:db8::1]:2377"}
	if n := swarmNode(leader); n.Addr != "2001:db8::1" || n.Arch != "amd64" || !n.Manager || !n.Ready {
		t.Errorf("got %+v", n)
	}
	worker := leader
	worker.ManagerStatus, worker.Status.Addr = nil, "192.0.2.7"
	worker.Spec.Role, worker.Spec.Availability = swarm.NodeRoleWorker, swarm.NodeAvailabilityDrain
	if n := swarmNode(worker); n.Addr != "192.0.2.7" || n.Manager || n.Ready {
		t.Errorf("got %+v", n)
	}
}

func TestManaging(t *testing.T) {
	for _, tt := range []struct {
		state   swarm.LocalNodeState
		control bool
		hint    string // "" for no error
	}{
		{swarm.LocalNodeStateActive, true, ""},
		{swarm.LocalNodeStateActive, false, "docker node promote"},
		{swarm.LocalNodeStateInactive, false, "docker swarm init"},
		{"", false, "docker swarm init"},
		{swarm.LocalNodeStateLocked, false, "docker swarm unlock"},
		{swarm.LocalNodeStatePending, false, "docker info"},
	} {
		err := managing(swarm.Info{LocalNodeState: tt.state, ControlAvailable: tt.control}, "unix:///s")
		if hint := fault.Hint(err); (err == nil) != (tt.hint == "") || !strings.Contains(hint, tt.hint) {
			t.Errorf("%q: got %v, hint %q", tt.state, err, hint)
		}
	}
}

func TestConstraints(t *testing.T) {
	n := SwarmNode{
		ID: "id1", Hostname: "n1", Addr: "192.0.2.7", OS: "linux", uname: "x86_64",
		Labels: map[string]string{"zone": "a"}, Engine: map[string]string{"disk": "ssd"},
	}
	for text, want := range map[string]bool{
		"node.labels.zone==a":         true,
		"node.labels.zone == A":       true,
		"node.labels.Zone==a":         false,
		"node.labels.zone!=a":         false,
		"node.labels.other!=a":        true,
		"engine.labels.disk==ssd":     true,
		"node.role==worker":           true,
		"Node.Role!=manager":          true,
		"node.hostname==n2":           false,
		"node.id==id1":                true,
		"node.ip==192.0.2.0/24":       true,
		"node.ip!=192.0.2.7":          false,
		"node.platform.arch==x86_64":  true,
		"node.platform.os!=linux":     false,
		"node.platform.arch==aarch64": false,
	} {
		c, err := ParseConstraint(text)
		if err != nil || n.Meets(c) != want {
			t.Errorf("%q: got %v, %v", text, n.Meets(c), err)
		}
	}
	for _, text := range []string{"", "node.role", "node.role=worker", "node.rôle==worker", "node.role==", "node.zone==a", "node.labels.==a", "node.role==a=b"} {
		if c, err := ParseConstraint(text); !fault.IsUsage(err) {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
}
