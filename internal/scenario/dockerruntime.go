package scenario

import (
	"context"
	"io"
	"strconv"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// containerRuntime asks the engine about one container.
type containerRuntime struct {
	docker    *engine.Docker
	dir, name string
}

func (c containerRuntime) Inspect(ctx context.Context) (engine.Status, error) {
	found, err := c.docker.Inspect(ctx, c.dir, c.name)
	if found.Foreign != "" {
		return engine.Status{State: Absent, Detail: "its name is taken by " + found.Foreign}, err
	}
	return found.Status, err
}

// RebootCover needs no words: the engine starts its containers.
func (c containerRuntime) RebootCover(context.Context) string { return "" }

func (c containerRuntime) Logs(ctx context.Context, follow bool, tail int, w io.Writer) error {
	found, err := c.docker.Inspect(ctx, c.dir, c.name)
	switch {
	case err != nil:
		return err
	case found.Foreign != "":
		return &host.ForeignError{Ref: host.Ref{Kind: engine.KindContainer, Path: c.name}, What: found.Foreign}
	case found.State == Absent:
		return fault.Fail("regctl start makes it", "there is no container %s", c.name)
	}
	o := engine.LogOptions{Follow: follow}
	if tail >= 0 {
		o.Tail = strconv.Itoa(tail)
	}
	return c.docker.Logs(ctx, c.name, o, w, w)
}
