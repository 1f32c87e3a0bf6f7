package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/regctl/regctl/internal/image"
)

// Sweep runs `regctl sweep` in a container of ours that runs, for a volume that only it
// reaches: as its user. The engine closes what the process reads when we are killed.
func (d *Docker) Sweep(ctx context.Context, name string, o SweepOptions) (found Swept, err error) {
	made, err := d.api.ContainerExecCreate(ctx, name, container.ExecOptions{
		Cmd: append([]string{image.Entrypoint}, o.Args()...), AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return found, fmt.Errorf("container %s: %w", name, err)
	}
	attached, err := d.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return found, fmt.Errorf("container %s: %w", name, err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	var out, said bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &said, attached.Reader); err != nil {
		return found, sweepFailed(ctx, err, said.String())
	}
	state, err := d.api.ContainerExecInspect(ctx, made.ID)
	if err == nil && state.ExitCode != 0 {
		err = fmt.Errorf("exit status %d", state.ExitCode)
	}
	if err != nil {
		return found, sweepFailed(ctx, err, said.String())
	}
	return found, json.Unmarshal(out.Bytes(), &found)
}
