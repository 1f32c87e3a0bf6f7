package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// rollTime is how long no task may get any further: its predecessor is given stopGrace
// to end, and then it has to start and to be asked whether it answers.
const rollTime = stopGrace + 45*time.Second

// maxFailed tasks of one slot end before it is said that it does not start.
const maxFailed = 3

// Rolls is the host.Handler of KindRolled.
type Rolls struct {
	Services
	// Progress, when set, is told how far it is, a short line at a time.
	Progress func(string)
}

// Look implements host.Handler; what is waited for is never looked at.
func (Rolls) Look(context.Context, string) (host.Fact, error) { return host.Fact{}, nil }

// Do waits until as many tasks run as are wanted, all as the service is, and each
// serves; then configs and secrets that only the service's past needed are removed. It
// gives up when swarm has taken the update back, when a task fails again and again,
// or when none gets any further for rollTime.
func (h Rolls) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var want Rolled
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	node, _, err := h.Docker.swarmSelf(ctx)
	if err != nil {
		return host.Fact{}, err
	}
	now, err := h.find(ctx, want.Service, node)
	switch {
	case err != nil:
		return host.Fact{}, err
	case now == nil || now.foreign != "":
		return host.Fact{}, fault.Fail("regctl start makes it", "there is no service %s", want.Service)
	case !now.running():
		return host.Fact{}, nil
	}
	tasks, err := h.roll(ctx, want, node)
	if err == nil {
		err = h.serves(ctx, want, now.made, tasks)
	}
	if err == nil {
		err = h.removeObjects(ctx, now.made.Registry, node, placedIn(now.Spec))
	}
	return host.Fact{}, err
}

// roll waits for swarm.
func (h Rolls) roll(ctx context.Context, want Rolled, node string) ([]SwarmTask, error) {
	var last []byte
	told, since := "", time.Now()
	var ends *endings
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := h.find(ctx, want.Service, node)
		if err == nil && now == nil {
			err = fault.Fail("regctl start makes it", "service %s has gone", want.Service)
		}
		if err != nil {
			return nil, err
		}
		tasks, err := h.tasks(ctx, now)
		if err != nil {
			return nil, err
		}
		ready := readyTasks(tasks)
		ends = ends.count(tasks)
		taken, err := h.takenBack(now, want)
		if err == nil && taken == "" && !now.rollsBack() {
			taken = ends.often(tasks)
		}
		if err == nil && taken != "" {
			err = h.said(ctx, now, fault.Fail("regctl logs, and docker service ps --no-trunc "+want.Service+", tell more", "%s", taken))
		}
		if err != nil {
			return nil, err
		}
		if ready == replicasOf(now.made, true) && !now.rollsBack() {
			return tasks, nil
		}
		if text := fmt.Sprintf("%d of %d tasks of service %s are ready", ready, replicasOf(now.made, true), want.Service); text != told && h.Progress != nil {
			h.Progress(text)
			told = text
		}
		if state := canonical([]any{tasks, ready}); !bytes.Equal(state, last) {
			last, since = state, time.Now()
		}
		if time.Since(since) > rollTime {
			return nil, h.stuck(tasks)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func readyTasks(tasks []SwarmTask) (n uint64) {
	for _, t := range tasks {
		if t.Runs() && t.current {
			n++
		}
	}
	return n
}

// takenBack says in words that swarm has undone an update, or somebody else has; "" while
// all is well. An update may have failed before anybody came to wait for it.
func (h Rolls) takenBack(now *foundService, want Rolled) (string, error) {
	files, err := h.Files()
	if err != nil {
		return "", err
	}
	same := want.Made == nil || bytes.Equal(canonical(now.made), canonical(want.Made))
	same = same && len(stale(now.made, placedIn(now.Spec), files)) == 0
	update := swarm.UpdateStatus{}
	if now.UpdateStatus != nil {
		update = *now.UpdateStatus
	}
	switch ended := update.State == swarm.UpdateStateRollbackCompleted; {
	case now.rollsBack():
		return "", nil // until it is done
	case ended && (!same || want.Updated), update.State == swarm.UpdateStateRollbackPaused, update.State == swarm.UpdateStatePaused:
		return fmt.Sprintf("swarm took the update of service %s back: %s", now.Spec.Name, update.Message), nil
	case !same:
		return fmt.Sprintf("somebody else changed service %s meanwhile", now.Spec.Name), nil
	}
	return "", nil
}

// endings are the tasks of each slot that failed while we waited: swarm remembers a few
// alone, and also those from before.
type endings struct {
	seen  map[string]bool
	slots map[int]int
}

func (e *endings) count(tasks []SwarmTask) *endings {
	first := e == nil
	if first {
		e = &endings{map[string]bool{}, map[int]int{}}
	}
	for _, t := range tasks {
		for _, id := range t.failed {
			if !e.seen[id] && !first {
				e.slots[t.Slot]++
			}
			e.seen[id] = true
		}
	}
	return e
}

// often names the first task whose predecessors failed maxFailed times; "" if none did.
func (e *endings) often(tasks []SwarmTask) string {
	for _, t := range tasks {
		if e.slots[t.Slot] >= maxFailed && !t.Runs() {
			return fmt.Sprintf("%s does not start: %s", t, strings.TrimPrefix(cmp.Or(t.Error, t.State), before))
		}
	}
	return ""
}

// said adds to an error the error that a task ended with, if it told one.
func (h Rolls) said(ctx context.Context, now *foundService, err error) error {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var words bytes.Buffer
	_ = h.Logs(limited, now.Spec.Name, LogOptions{Tail: "20"}, &words)
	said, hint := "", fault.Hint(err)
	for line := range strings.Lines(words.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "error: "); ok {
			said = text
		} else if text, ok := strings.CutPrefix(strings.TrimSpace(line), "hint: "); ok {
			hint = text
		}
	}
	if said == "" {
		return err
	}
	return fault.Fail(hint, "%w; it said: %s", err, said)
}

// stuck names the first task that does not get any further.
func (h Rolls) stuck(tasks []SwarmTask) error {
	for _, t := range tasks {
		if !t.Runs() || !t.current {
			return fault.Fail("docker node ls and docker service ps tell more", "%s gets no further than %s within %s: %s", t, t.State, rollTime, cmp.Or(t.Error, "swarm does not say why"))
		}
	}
	return fault.Fail("docker node ls and docker service ps tell more", "swarm places no task within %s", rollTime)
}

const firewall = "a firewall between this machine and that node would do that; docker service logs tells more"

// serves asks each task at its node's address, and has it prove which certificate it
// has. With an ingress every node's port leads to any of them, so this one's is asked.
func (h Rolls) serves(ctx context.Context, want Rolled, s Service, tasks []SwarmTask) error {
	if s.Ingress {
		return h.servesAt(ctx, want, "service "+s.Name, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(s.Port))),
			"a kernel without IPVS would do that: publish: host (--publish) needs none; docker service logs tells more")
	}
	for _, t := range tasks {
		if err := h.servesAt(ctx, want, t.String(), t.Address(s.Port), firewall); err != nil {
			return err
		}
	}
	return nil
}

func (h Rolls) servesAt(ctx context.Context, want Rolled, who, addr, hint string) error {
	endpoint := want.Endpoint
	endpoint.Addr = addr
	limited, cancel := context.WithTimeout(ctx, servedTime)
	defer cancel()
	for {
		err := endpoint.Probe(limited)
		if err == nil {
			err = h.leaf(limited, want, endpoint)
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-limited.Done():
			return errors.Join(ctx.Err(), fault.Fail(hint,
				"%s runs, and %s does not serve as it should within %s: %w", who, addr, servedTime, err))
		}
	}
}

func (h Rolls) leaf(ctx context.Context, want Rolled, endpoint Endpoint) error {
	if want.Leaf == "" {
		return nil
	}
	disk, err := os.ReadFile(want.Leaf)
	if err != nil {
		return err
	}
	served, err := endpoint.Chain(ctx)
	if err == nil && !SameLeaf(served, disk) {
		err = errors.New("it serves another certificate than " + want.Leaf)
	}
	return err
}
