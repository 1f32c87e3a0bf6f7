package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// KindReload is that what runs in a container reads its files anew: Ref.Path is the
// container's name. It can be waited for and no more.
const KindReload host.Kind = "reload"

// ReloadStep has a container's program check its files and read them anew, by SIGHUP,
// if one of After has changed. A container that does not run reads them when it starts.
type ReloadStep struct {
	Container string
	Check     []string // the command, run in the container, that refuses bad files
	After     []host.Ref
}

// Name implements step.Step.
func (s ReloadStep) Name() string { return "reload " + s.Container }

// Reads implements step.Step.
func (s ReloadStep) Reads() []host.Ref { return nil }

// Plan implements step.Step.
func (s ReloadStep) Plan(host.Facts) (step.Change, error) {
	return step.Change{
		Items: []step.Item{{Target: "container " + s.Container, Action: host.Restart, Diff: "(checked and reloaded)\n", OnlyIf: s.After}},
		Ops: []host.Op{{
			Ref: host.Ref{Kind: KindReload, Path: s.Container}, Action: host.Wait, Before: host.AnyBefore,
			Want: host.Fact{Exists: true, Data: canonical(s.Check)}, OnlyIf: s.After,
		}},
	}, nil
}

// reloadTime is how long a program may take to read its files anew.
const reloadTime = 10 * time.Second

// Reloads is the host.Handler of KindReload.
type Reloads struct{ Docker *Docker }

// Look implements host.Handler; there is nothing to see.
func (Reloads) Look(context.Context, string) (host.Fact, error) { return host.Fact{}, nil }

// Do checks and reloads.
func (h Reloads) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var check []string
	if err := json.Unmarshal(op.Want.Data, &check); err != nil {
		return host.Fact{}, err
	}
	c, err := h.Docker.api.ContainerInspect(ctx, op.Path)
	if isAbsent(c, err, op.Path) || err == nil && !c.State.Running {
		return host.Fact{}, nil
	}
	if err == nil {
		err = h.run(ctx, op.Path, check)
	}
	if err != nil {
		return host.Fact{}, err
	}
	old := h.workers(ctx, op.Path)
	if err := h.Docker.api.ContainerKill(ctx, op.Path, "HUP"); err != nil {
		return host.Fact{}, err
	}
	return host.Fact{}, h.settled(ctx, op.Path, old)
}

// settled waits until the workers that read the old files take no connections any more.
func (h Reloads) settled(ctx context.Context, name string, old map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		now := h.workers(ctx, name)
		if !slices.ContainsFunc(slices.Collect(maps.Keys(old)), func(pid string) bool { return now[pid] }) && len(now) > 0 || len(old) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Fail("docker logs "+name+" tells more", "container %s did not read its files anew within %s", name, reloadTime)
		case <-tick.C:
		}
	}
}

// workers are the ids of those that take connections; none where ps does not tell.
func (h Reloads) workers(ctx context.Context, name string) map[string]bool {
	top, err := h.Docker.api.ContainerTop(ctx, name, []string{"-eo", "pid,args"})
	if err != nil {
		return nil
	}
	found := map[string]bool{}
	for _, process := range top.Processes {
		line := strings.Join(process, " ")
		pid, title, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(title, "worker process") && !strings.Contains(title, "shutting down") {
			found[pid] = true
		}
	}
	return found
}

// run runs a command in a container; what it said is the error if it fails.
func (h Reloads) run(ctx context.Context, name string, command []string) error {
	made, err := h.Docker.api.ContainerExecCreate(ctx, name, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return err
	}
	attached, err := h.Docker.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return err
	}
	defer attached.Close()
	var said bytes.Buffer
	if _, err := stdcopy.StdCopy(&said, &said, attached.Reader); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	state, err := h.Docker.api.ContainerExecInspect(ctx, made.ID)
	if err == nil && state.ExitCode != 0 {
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		err = fmt.Errorf("container %s: %s: %s", name, strings.Join(command, " "), first)
	}
	return err
}
