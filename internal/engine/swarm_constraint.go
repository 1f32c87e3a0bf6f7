package engine

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// Constraint is a placement constraint of a service: "node.labels.zone==a".
type Constraint struct {
	Key, Value string
	Not        bool // != in place of ==
}

const constraintHint = "write it as docker service create --constraint does: node.labels.zone==a, node.role!=manager, node.hostname==n1"

// What swarm takes (swarmkit manager/constraint).
var (
	constraintKey   = regexp.MustCompile(`^(?i)[a-z_][a-z0-9\-_.]+$`)
	constraintValue = regexp.MustCompile(`^(?i)[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+$`)
)

// ParseConstraint reads KEY==VALUE or KEY!=VALUE as swarm does, and refuses a key that
// swarm would take for one that no node meets.
func ParseConstraint(text string) (Constraint, error) {
	var c Constraint
	key, value, found := strings.Cut(text, "==")
	if !found {
		key, value, found = strings.Cut(text, "!=")
		c.Not = true
	}
	c.Key, c.Value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !found || !constraintKey.MatchString(c.Key) || !constraintValue.MatchString(c.Value) {
		return Constraint{}, fault.Usage(constraintHint, "%q is no placement constraint", text)
	}
	if _, known := (SwarmNode{}).attribute(c.Key); !known && !c.isIP() {
		return Constraint{}, fault.Usage(constraintHint, "%q: no node has %s, so none would ever be chosen", text, c.Key)
	}
	return c, nil
}

func (c Constraint) isIP() bool { return strings.EqualFold(c.Key, "node.ip") }

// Meets reports whether swarm may place a task on the node under all of them. Swarm
// compares without regard to case, and a label that is not there is "".
func (n SwarmNode) Meets(all ...Constraint) bool {
	for _, c := range all {
		if n.equals(c) == c.Not {
			return false
		}
	}
	return true
}

func (n SwarmNode) equals(c Constraint) bool {
	if c.isIP() {
		addr, err := netip.ParseAddr(n.Addr)
		if err != nil {
			return false
		}
		if network, err := netip.ParsePrefix(c.Value); err == nil {
			return network.Contains(addr)
		}
		wanted, err := netip.ParseAddr(c.Value)
		return err == nil && wanted == addr
	}
	value, _ := n.attribute(c.Key)
	return strings.EqualFold(value, c.Value)
}

// attribute is what the node says under a constraint's key.
func (n SwarmNode) attribute(key string) (value string, known bool) {
	role := "worker"
	if n.Manager {
		role = "manager"
	}
	switch strings.ToLower(key) {
	case "node.id":
		return n.ID, true
	case "node.hostname":
		return n.Hostname, true
	case "node.role":
		return role, true
	case "node.platform.os":
		return n.OS, true
	case "node.platform.arch":
		return n.uname, true
	}
	for prefix, labels := range map[string]map[string]string{"node.labels.": n.Labels, "engine.labels.": n.Engine} {
		// The label's own name is compared as it is.
		if len(key) > len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
			return labels[key[len(prefix):]], true
		}
	}
	return "", false
}
