package engine

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/swarm"
)

// SwarmTask is one registry of a service.
type SwarmTask struct {
	Slot  int    `json:"slot"` // counted from 1
	Node  string `json:"node"` // "" while there is none for it
	State string `json:"state"`
	// Error says why it does not run, as far as swarm tells.
	Error string `json:"error,omitempty"`

	addr    string   // the node's
	current bool     // it is as the service is by now
	failed  []string // ids of earlier tasks of the slot that did not run to their end
}

// before begins the error of a task that is the successor of one that failed.
const before = "the one before: "

// Runs reports whether it is up: by its health check, it answers.
func (t SwarmTask) Runs() bool { return t.State == string(swarm.TaskStateRunning) }

// String names it as docker service ps does.
func (t SwarmTask) String() string {
	s := "task " + strconv.Itoa(t.Slot)
	if t.Node != "" {
		s += " on " + t.Node
	}
	return s
}

// Address is where its node publishes it, host:port.
func (t SwarmTask) Address(port uint16) string {
	return net.JoinHostPort(t.addr, strconv.Itoa(int(port)))
}

// slots are what a service has now: of each slot the task that swarm wants to run, or
// the last that it gave up.
func slots(s swarm.Service, tasks []swarm.Task, nodes []SwarmNode) []SwarmTask {
	bySlot := map[int][]swarm.Task{}
	for _, t := range tasks {
		bySlot[t.Slot] = append(bySlot[t.Slot], t)
	}
	var all []SwarmTask
	for slot, of := range bySlot {
		slices.SortFunc(of, func(a, b swarm.Task) int {
			return cmp.Or(cmp.Compare(rank(b), rank(a)), b.CreatedAt.Compare(a.CreatedAt))
		})
		if rank(of[0]) == 0 {
			continue // a slot that there is no more
		}
		all = append(all, slotOf(slot, s, of, nodes))
	}
	slices.SortFunc(all, func(a, b SwarmTask) int { return cmp.Compare(a.Slot, b.Slot) })
	return all
}

// rank puts what swarm wants to run first.
func rank(t swarm.Task) int {
	switch t.DesiredState {
	case swarm.TaskStateRunning:
		return 2
	case swarm.TaskStateReady: // it waits for its predecessor to end, or for its delay
		return 1
	}
	return 0
}

func slotOf(slot int, s swarm.Service, of []swarm.Task, nodes []SwarmNode) SwarmTask {
	now := of[0]
	t := SwarmTask{Slot: slot, State: string(now.Status.State), Error: now.Status.Err, current: isCurrent(now, s)}
	if i := slices.IndexFunc(nodes, func(n SwarmNode) bool { return n.ID == now.NodeID }); i >= 0 {
		node := nodes[i]
		t.Node, t.addr = node.String(), node.Addr
		if node.Self {
			t.addr = "127.0.0.1"
		}
		if !node.Up && t.Runs() {
			t.State, t.Error = string(swarm.TaskStateOrphaned), "the node is down"
		}
	}
	for _, old := range of[1:] {
		if old.Status.State == swarm.TaskStateFailed || old.Status.State == swarm.TaskStateRejected {
			t.failed = append(t.failed, old.ID)
			if words := why(old); t.Error == "" && words != "" && !t.Runs() && isCurrent(old, s) {
				if i := slices.IndexFunc(nodes, func(n SwarmNode) bool { return n.ID == old.NodeID }); i >= 0 && t.Node == "" {
					words = "on " + nodes[i].String() + ": " + words
				}
				t.Error = before + words
			}
		}
	}
	return t
}

// why says how a task ended.
func why(t swarm.Task) string {
	text := strings.TrimSpace(t.Status.Err)
	if c := t.Status.ContainerStatus; c != nil && c.ExitCode != 0 && !strings.Contains(text, "exit") {
		text = strings.TrimSpace(text + " exit status " + strconv.Itoa(c.ExitCode))
	}
	return text
}

// isCurrent reports whether a task was made of the service as it is.
func isCurrent(t swarm.Task, s swarm.Service) bool {
	return t.Spec.ForceUpdate == s.Spec.TaskTemplate.ForceUpdate &&
		bytes.Equal(canonical(t.Spec.ContainerSpec), canonical(s.Spec.TaskTemplate.ContainerSpec))
}

// ServiceStatus is how a service fares.
type ServiceStatus struct {
	Status
	Service Service // as it was made
	Tasks   []SwarmTask
	Stale   []string // files that its tasks have otherwise than they are by now
	Foreign string   // as in host.Fact
	// Rolling says that swarm is at an update, or at taking one back.
	Rolling bool
}

// Current reports whether all tasks run that should, as the service is by now.
func (s ServiceStatus) Current() bool {
	return s.State == "running" && !slices.ContainsFunc(s.Tasks, func(t SwarmTask) bool { return !t.current })
}

// InspectService tells how the service name of the registry in h.Dir fares.
func (h Services) InspectService(ctx context.Context, name string) (ServiceStatus, error) {
	absent := ServiceStatus{Status: Status{State: "absent"}}
	node, in, err := h.Docker.swarmSelf(ctx)
	if err != nil || !in {
		return absent, err
	}
	now, err := h.find(ctx, name, node)
	switch {
	case err != nil || now == nil:
		return absent, err
	case now.foreign != "":
		absent.Foreign = now.foreign
		return absent, nil
	}
	s := ServiceStatus{Status: Status{State: "stopped", Image: now.made.Image}, Service: now.made}
	if u := now.UpdateStatus; u != nil {
		s.Rolling = u.State == swarm.UpdateStateUpdating || u.State == swarm.UpdateStateRollbackStarted
	}
	if h.Files != nil {
		files, err := h.Files()
		if err != nil {
			return absent, err
		}
		s.Stale = stale(now.made, placedIn(now.Spec), files)
	}
	if s.Tasks, err = h.tasks(ctx, now); err != nil {
		return absent, err
	}
	if now.running() {
		s.judge(int(*now.Spec.Mode.Replicated.Replicas))
	}
	return s, nil
}

func (h Services) tasks(ctx context.Context, now *foundService) ([]SwarmTask, error) {
	nodes, err := h.Docker.SwarmNodes(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := h.Docker.tasksOf(ctx, now.ID)
	return slots(now.Service, tasks, nodes), err
}

// judge says in words what is missing.
func (s *ServiceStatus) judge(wanted int) {
	var missing []string
	running := 0
	for _, t := range s.Tasks {
		if t.Runs() {
			running++
			continue
		}
		missing = append(missing, strings.TrimSuffix(t.String()+" is "+t.State+": "+t.Error, ": "))
	}
	s.State = "running"
	if running < wanted {
		s.State = "degraded"
	}
	s.Detail = strconv.Itoa(running) + " of " + strconv.Itoa(wanted) + " tasks run"
	if len(missing) > 0 {
		s.Detail += "; " + strings.Join(missing, "; ")
	}
}
