package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// KindServer is that a proxy runs, and starts at boot where an init system sees to
// that; Ref.Path is a Kind, Data a serverState.
const KindServer host.Kind = "proxy server"

type serverState struct {
	Running bool `json:"running"`
	Enabled bool `json:"enabled"`
}

func (s serverState) fact() host.Fact {
	data, _ := json.Marshal(s) // bools cannot fail
	return host.Fact{Exists: true, Data: data}
}

// Servers is the host.Handler of KindServer. It uses the init system that runs, else
// the server's own program.
type Servers struct{}

// Look asks whether the server runs. One that is not installed is absent.
func (Servers) Look(ctx context.Context, path string) (host.Fact, error) {
	server, err := Find(ctx, Kind(path))
	var gone *notInstalledError
	if errors.As(err, &gone) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	s := serverState{Running: server.PID != 0, Enabled: true}
	if unit := server.unit(ctx); unit != "" {
		s.Enabled = exec.CommandContext(ctx, "systemctl", "--quiet", "is-enabled", unit).Run() == nil
	}
	return s.fact(), nil
}

// Do starts or stops the server, and has it start at boot or no more.
func (h Servers) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if op.Action == host.Remove {
		return host.Fact{}, nil // it is not ours to take away
	}
	var want serverState
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	server, err := Find(ctx, Kind(op.Path))
	if err != nil {
		return host.Fact{}, err
	}
	if unit := server.unit(ctx); unit != "" {
		verb := map[bool]string{true: "enable", false: "disable"}[want.Enabled]
		if err := command(ctx, "systemctl", "--no-ask-password", verb, unit); err != nil {
			return host.Fact{}, err
		}
	}
	switch {
	case want.Running && server.PID == 0:
		err = server.start(ctx)
	case !want.Running && server.PID != 0:
		err = server.stop(ctx)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

// unit is the server's under systemd; "" where systemd does not run or has none.
func (s Server) unit(ctx context.Context) string {
	if !isDir("/run/systemd/system") {
		return ""
	}
	names := []string{"nginx.service"}
	if s.Kind == Apache {
		names = []string{"apache2.service", "httpd.service"}
	}
	for _, name := range names {
		out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState", "--value", name).Output()
		if err == nil && strings.TrimSpace(string(out)) == "loaded" {
			return name
		}
	}
	return ""
}

func (s Server) start(ctx context.Context) error {
	if err := check(ctx, s); err != nil {
		return err
	}
	var err error
	if unit := s.unit(ctx); unit != "" {
		err = command(ctx, "systemctl", "--no-ask-password", "start", unit)
	} else {
		// Of one that nobody has asked after yet, Apache believes that it runs.
		if err := remove(s.PIDFile); err != nil {
			return err
		}
		err = command(ctx, s.Command[0], append(s.Command[1:], s.startArgs()...)...)
	}
	if err != nil {
		return fault.Fail(portHint(err.Error()), "%s does not start: %w", s.Kind, err)
	}
	return s.await(ctx, true)
}

// revive starts a server that has ended. Its workers may hold its addresses for a
// moment yet.
func (s Server) revive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	for {
		err := s.start(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s Server) startArgs() []string {
	if s.Kind == Apache {
		return []string{"-k", "start"}
	}
	return nil
}

func (s Server) stop(ctx context.Context) error {
	if unit := s.unit(ctx); unit != "" {
		return command(ctx, "systemctl", "--no-ask-password", "stop", unit)
	}
	master, err := os.FindProcess(s.PID)
	if err == nil {
		err = master.Signal(stopSignal)
	}
	if err != nil {
		return fmt.Errorf("stop %s (pid %d): %w", s.Kind, s.PID, err)
	}
	return s.await(ctx, false)
}

// await waits until the server's pid file names a running one, or no more.
func (s Server) await(ctx context.Context, running bool) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for runningPID(s.PIDFile) != 0 != running {
		select {
		case <-ctx.Done():
			return fault.Fail("its error log says why: "+s.ErrorLog, "%s: running is to be %v, and is not after %s", s.Kind, running, reloadTime)
		case <-tick.C:
		}
	}
	return nil
}

// command runs a program, and its first line of complaint is the error.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err == nil {
		return nil
	}
	if why, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); why != "" {
		return errors.New(why)
	}
	return fmt.Errorf("%s: %w", name, err)
}
