package engine

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// ContainerStatus is how a container fares. Its State is failing while the engine
// pauses between tries to start it; Detail then says how it ends.
type ContainerStatus struct {
	Status
	Health    string // healthy, unhealthy, starting; "" without a health check
	ID        string
	Container Container // as it was made
	StartedAt time.Time // zero if never
	Restarts  int       // by the engine, since it was last started by anybody
	Foreign   string    // as in host.Fact
}

// Inspect tells how the container name of the registry in dir fares.
func (d *Docker) Inspect(ctx context.Context, dir, name string) (ContainerStatus, error) {
	c, err := d.api.ContainerInspect(ctx, name)
	if isAbsent(c, err, name) {
		return ContainerStatus{Status: Status{State: "absent"}}, nil
	}
	if err != nil {
		return ContainerStatus{}, err
	}
	f := identify(c, dir)
	s := ContainerStatus{
		Status:    Status{State: "stopped", Image: c.Config.Image, Detail: "exit status " + strconv.Itoa(c.State.ExitCode)},
		ID:        c.ID,
		Container: f.spec,
		Restarts:  c.RestartCount,
		Foreign:   f.foreign,
	}
	switch {
	case c.State.Restarting:
		s.State, s.Detail = "failing", "ends with "+s.Detail+" and is started again"
	case c.State.Running:
		s.State, s.Detail = "running", "container "+c.ID[:12]
	}
	if c.State.Health != nil && c.State.Health.Status != container.NoHealthcheck {
		s.Health = c.State.Health.Status
		s.Healthy = s.Health == container.Healthy
	}
	if t, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil && t.Year() > 1 {
		s.StartedAt = t
	}
	return s, nil
}

// LogOptions says which part of a log is wanted.
type LogOptions struct {
	Follow bool   // until ctx ends or the container goes
	Tail   string // a number of lines; "" is all
}

// Logs copies what the container wrote to its standard output and error.
func (d *Docker) Logs(ctx context.Context, name string, o LogOptions, out, errOut io.Writer) error {
	body, err := d.api.ContainerLogs(ctx, name, container.LogsOptions{
		ShowStdout: true,
		ShowStderr: true,
		Follow:     o.Follow,
		Tail:       o.Tail,
	})
	if errdefs.IsNotFound(err) {
		return fault.Fail("regctl init makes it", "there is no container %s", name)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = stdcopy.StdCopy(out, errOut, body)
	if o.Follow && ctx.Err() != nil {
		return nil // that is how following ends
	}
	return err
}

// Handlers teach a host.Local about this engine, for the registry in dir. The
// Docker of images is set here.
func (d *Docker) Handlers(dir string, images Images) map[host.Kind]host.Handler {
	images.Docker = d
	return map[host.Kind]host.Handler{
		KindImage:     images,
		KindContainer: Containers{d, dir},
		KindVolume:    Volumes{d, dir},
		KindNetwork:   Networks{d, dir},
		KindReload:    Reloads{d},
		KindReady:     Ready{d, dir},
	}
}
