//go:build !unix

package engine

import (
	"context"

	"github.com/regctl/regctl/internal/fault"
)

func unsupported() error {
	return fault.Usage("use --runtime docker", "the process runtime needs Linux or macOS")
}

func launch(context.Context, string, Process) error { return unsupported() }

func (h Processes) stop(context.Context, string) error { return nil }

// detach fails: there are no detached processes on this system.
func detach(string) error { return unsupported() }
