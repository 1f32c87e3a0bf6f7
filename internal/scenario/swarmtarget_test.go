package scenario

import (
	"maps"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
)

func TestNodeTargets(t *testing.T) {
	nodes := []engine.SwarmNode{
		{ID: "id1", Hostname: "n1", Addr: "10.0.0.1"},
		{ID: "id2", Hostname: "N2", Addr: "10.0.0.2"},
		{ID: "id3", Hostname: "twin", Addr: "2001:db8::3"},
		{ID: "id4", Hostname: "twin", Addr: "10.0.0.4"},
	}
	for _, tt := range []struct{ entries, want string }{
		{"", "10.0.0.1 10.0.0.2 2001:db8::3 10.0.0.4"},
		{"root@n1:2222 ops@n2", "root@n1:2222 ops@n2 2001:db8::3 10.0.0.4"},
		{"ops@10.0.0.[1-2]", "ops@10.0.0.1 ops@10.0.0.2 2001:db8::3 10.0.0.4"},
		{"[2001:db8::3]:22 id4=bastion-alias n1=none", "none 10.0.0.2 [2001:db8::3]:22 bastion-alias"},
	} {
		got, err := nodeTargets(nodes, strings.Fields(tt.entries))
		want := map[string]string{}
		for i, target := range strings.Fields(tt.want) {
			want[nodes[i].ID] = target
		}
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", tt.entries, got, err, want)
		}
	}
	for entry, want := range map[string]string{
		"n9":            `no node of the swarm is called "n9"`,
		"root@twin":     "several nodes of the swarm are called",
		"n1=a[1-2]":     "leads one node to 2 hosts",
		"n9=h":          "no node of the swarm",
		"root:pw@n1":    "has a password in it",
		"ssh://root@n1": "is a URL",
	} {
		if _, err := nodeTargets(nodes, []string{entry}); !fault.IsUsage(err) || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" {
			t.Errorf("%q: got %v, hint %q; want %q", entry, err, fault.Hint(err), want)
		}
	}
}
