package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// KindUnit is a systemd service: the unit file at Ref.Path together with whether
// systemd starts it at boot and whether it runs now. Data is a unitState.
const KindUnit host.Kind = "unit"

type unitState struct {
	Text    string `json:"text"`
	Enabled bool   `json:"enabled"`
	Active  bool   `json:"active"`
}

// UnitFact is a unit with this text as it should be: enabled, and running.
func UnitFact(text []byte) host.Fact {
	return unitFact(unitState{Text: string(text), Enabled: true, Active: true})
}

func unitFact(u unitState) host.Fact {
	return host.Fact{Exists: true, Data: canonical(u), Mode: 0o644}
}

// UnitPath is where the unit of the registry name lies.
func UnitPath(name string) string { return "/etc/systemd/system/" + unitName(name) }

func unitName(name string) string { return "regctl-" + name + ".service" }

// Systemd is the host.Handler of KindUnit. It calls systemctl, and needs root.
type Systemd struct{}

// Look reads the unit file and asks systemd about it.
func (Systemd) Look(ctx context.Context, path string) (host.Fact, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	if !strings.HasPrefix(string(text), unitMark) {
		return host.Fact{Exists: true, Data: text, Foreign: "a unit that regctl did not make"}, nil
	}
	out, err := systemctl(ctx, "show", "--property=ActiveState,UnitFileState", filepath.Base(path))
	if err != nil {
		return host.Fact{}, err
	}
	state := properties(out)
	active := state["ActiveState"]
	return unitFact(unitState{
		Text:    string(text),
		Enabled: state["UnitFileState"] == "enabled",
		Active:  active == "active" || active == "reloading",
	}), nil
}

// Do brings the unit to what op wants. Starting waits until the registry serves
// (Type=notify). A unit that was new and does not start is taken away again.
func (h Systemd) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var err error
	unit := filepath.Base(op.Path)
	switch op.Action {
	case host.Remove:
		return host.Fact{}, removeUnit(ctx, op.Path)
	case host.Stop:
		_, err = systemctl(ctx, "stop", unit)
	case host.Start:
		err = startUnit(ctx, "start", unit)
	case host.Restart:
		err = startUnit(ctx, "restart", unit)
	default:
		err = h.apply(ctx, op)
		if err != nil && op.Action == host.Create {
			err = errors.Join(err, removeUnit(context.WithoutCancel(ctx), op.Path))
		}
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func (h Systemd) apply(ctx context.Context, op host.Op) error {
	var want unitState
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return err
	}
	seen, err := h.Look(ctx, op.Path)
	if err != nil || seen.Hash() == op.Want.Hash() {
		return err
	}
	var now unitState
	if seen.Exists {
		if err := json.Unmarshal(seen.Data, &now); err != nil {
			return err
		}
	}
	if now.Text != want.Text {
		if err := writeUnit(op.Path, want.Text); err != nil {
			return err
		}
		if _, err := systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	unit := filepath.Base(op.Path)
	if now.Enabled != want.Enabled {
		verb := map[bool]string{true: "enable", false: "disable"}[want.Enabled]
		if _, err := systemctl(ctx, verb, unit); err != nil {
			return err
		}
	}
	switch {
	case !want.Active:
		_, err = systemctl(ctx, "stop", unit)
	case now.Active && now.Text != want.Text:
		err = startUnit(ctx, "restart", unit)
	case !now.Active:
		err = startUnit(ctx, "start", unit)
	}
	return err
}

// writeUnit replaces the file by a rename. systemd ignores the name in between.
func writeUnit(path, text string) error {
	next := path + ".regctl-new"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func removeUnit(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unit := filepath.Base(path)
	if _, err := systemctl(ctx, "disable", "--now", unit); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	_, err := systemctl(ctx, "daemon-reload")
	// Without this a unit that failed would still be listed; it may not be known.
	_, _ = systemctl(ctx, "reset-failed", unit)
	return err
}

// startUnit starts or restarts, and explains a failure by what the registry said.
func startUnit(ctx context.Context, verb, unit string) error {
	_, err := systemctl(ctx, verb, unit)
	if err == nil {
		return nil
	}
	// Restart=always would go on trying behind our back.
	_, _ = systemctl(context.WithoutCancel(ctx), "stop", unit)
	words, _ := exec.CommandContext(ctx, "journalctl", "--unit="+unit, "--lines=20", "--output=cat", "_TRANSPORT=stdout").Output()
	if len(bytes.TrimSpace(words)) == 0 {
		return fault.Fail("journalctl -u "+unit+" says why", "%w", err)
	}
	return startFault(string(words), err)
}

func systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--no-pager", "--no-ask-password"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", commandFault("systemctl "+strings.Join(args, " "), err, said.String())
	}
	return out.String(), nil
}

// commandFault names a command that failed and the first line that it said.
func commandFault(command string, err error, said string) error {
	if why, _, _ := strings.Cut(strings.TrimSpace(said), "\n"); why != "" {
		return fmt.Errorf("%s: %s", command, why)
	}
	return fmt.Errorf("%s: %w", command, err)
}

// properties reads the NAME=VALUE lines of systemctl show.
func properties(out string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[name] = value
	}
	return all
}
