package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// KindProcess is a registry that runs as a detached process. Its Ref.Path is the
// registry's directory; a Fact exists while the process runs, and its Data is a
// Process.
const KindProcess host.Kind = "process"

// Process is how a registry's process is started.
type Process struct {
	Exe  string   `json:"exe"`
	Args []string `json:"args"` // without the program's name
}

// Fact is p as a host.Fact: running like this.
func (p Process) Fact() host.Fact { return host.Fact{Exists: true, Data: canonical(p)} }

// canonical is JSON that is the same for equal values, fit for Fact.Data.
func canonical(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // strings, numbers and lists of them always encode
	}
	return bytes.TrimSpace(out.Bytes())
}

// Processes is the host.Handler of KindProcess and KindLoop. A process is found again by the
// pid file that it wrote itself, before it served anything: a regctl that was
// killed half-way through a start leaves a process that the next one finds.
type Processes struct {
	// Drain is how long a process may go on with its requests after SIGTERM
	// before it is killed.
	Drain time.Duration
	// Loop says that it is about the one that renews: the handler of KindLoop.
	Loop bool
}

func (h Processes) pidFile(dir string) string {
	if h.Loop {
		return LoopPIDFile(dir)
	}
	return PIDFile(dir)
}

// PIDFile is where the process of the registry in dir notes who it is.
func PIDFile(dir string) string { return filepath.Join(dir, "process.pid") }

// Look reports the process of the registry in dir, if it runs.
func (h Processes) Look(_ context.Context, dir string) (host.Fact, error) {
	r, ok, err := findProcess(h.pidFile(dir))
	if err != nil || !ok {
		return host.Fact{}, err
	}
	return r.Process.Fact(), nil
}

// Do starts, stops or restarts a process. Starting waits until the registry
// serves and fails with what it said if it ends instead; it never leaves behind
// a process that does not serve. What is as wanted is left alone.
func (h Processes) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	dir, pidFile := op.Path, h.pidFile(op.Path)
	switch op.Action {
	case host.Stop, host.Remove:
		// The pid file stays until the end: a process about to start may be
		// waiting for the lock on it.
		err := h.stop(ctx, pidFile)
		if err == nil && op.Action == host.Remove {
			err = removePIDFile(pidFile)
		}
		return host.Fact{}, err
	case host.Restart:
		if err := h.stop(ctx, pidFile); err != nil {
			return host.Fact{}, err
		}
	default:
		seen, err := h.Look(ctx, dir)
		if err != nil {
			return host.Fact{}, err
		}
		if seen.Exists && bytes.Equal(seen.Data, op.Want.Data) {
			return seen, nil
		}
		if err := h.stop(ctx, pidFile); err != nil {
			return host.Fact{}, err
		}
	}
	var p Process
	if err := json.Unmarshal(op.Want.Data, &p); err != nil {
		return host.Fact{}, err
	}
	if err := launch(ctx, pidFile, p); err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, dir)
}

// startFault makes an error of what a process wrote before it ended: its error
// and hint lines as regctl prints them, why it panicked, or its last line.
func startFault(words string, exit error) error {
	var last, hint string
	for line := range strings.Lines(strings.TrimSpace(words)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "panic: "); ok { // distribution's way; a trace follows
			last = text
			break
		}
		if text, ok := strings.CutPrefix(line, "hint: "); ok {
			hint = text
		} else if line != "" {
			last = strings.TrimPrefix(line, "error: ")
		}
	}
	if last == "" {
		if exit == nil {
			exit = errors.New("it ended")
		}
		last = exit.Error()
	}
	return fault.Fail(hint, "the registry's process did not start: %s", last)
}
