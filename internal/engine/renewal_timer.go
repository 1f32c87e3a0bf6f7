package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/templates"
)

// KindTimer is a systemd timer with the service that it starts: both unit files, and
// whether the timer is enabled and waits. Ref.Path is the timer's, Data a timerState.
const KindTimer host.Kind = "timer"

type timerState struct {
	Service string `json:"service"`
	Timer   string `json:"timer"`
	Enabled bool   `json:"enabled"`
	Active  bool   `json:"active"`
}

// TimerPath is where the timer of the registry name lies; its service lies beside it.
func TimerPath(name string) string { return "/etc/systemd/system/regctl-" + name + "-renew.timer" }

func servicePath(timer string) string { return strings.TrimSuffix(timer, ".timer") + ".service" }

// timer is the timer as it should be.
func (o RenewalOptions) timer() (host.Fact, error) {
	command := []string{unitQuote(o.Exe())}
	for _, arg := range o.args() {
		command = append(command, unitQuote(strings.ReplaceAll(arg, "$", "$$")))
	}
	if strings.ContainsAny(o.Exe(), "\"'\\") {
		return host.Fact{}, fault.Usage("choose a --dir without quotes and backslashes", "%q: systemd cannot start a program of that name", o.Exe())
	}
	var writes []string
	for _, dir := range o.Writes {
		writes = append(writes, unitQuote(dir))
	}
	values := map[string]string{"Name": o.Name, "ExecStart": strings.Join(command, " "), "Writes": strings.Join(writes, " ")}
	service, err := unitText("systemd-renew.service.tmpl", values)
	if err != nil {
		return host.Fact{}, err
	}
	timer, err := unitText("systemd-renew.timer.tmpl", values)
	return timerFact(timerState{service, timer, true, true}), err
}

func timerFact(s timerState) host.Fact {
	return host.Fact{Exists: true, Data: canonical(s), Mode: 0o644}
}

func unitText(name string, values map[string]string) (string, error) {
	text, err := templates.FS.ReadFile(name)
	if err != nil {
		return "", err
	}
	tmpl, err := template.New(name).Parse(string(text))
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, values)
	return out.String(), err
}

// Timers is the host.Handler of KindTimer. It calls systemctl, and needs root.
type Timers struct{}

// Look reads both files and asks systemd about the timer.
func (Timers) Look(ctx context.Context, path string) (host.Fact, error) {
	timer, err := os.ReadFile(path)
	service, missing := os.ReadFile(servicePath(path))
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.Is(missing, fs.ErrNotExist):
		return host.Fact{}, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return host.Fact{}, err
	case missing != nil && !errors.Is(missing, fs.ErrNotExist):
		return host.Fact{}, missing
	}
	for _, text := range [][]byte{timer, service} {
		if len(text) > 0 && !bytes.HasPrefix(text, []byte(unitMark)) {
			return host.Fact{Exists: true, Data: text, Foreign: "a unit that regctl did not make"}, nil
		}
	}
	out, err := systemctl(ctx, "show", "--property=ActiveState,UnitFileState", filepath.Base(path))
	if err != nil {
		return host.Fact{}, err
	}
	state := properties(out)
	return timerFact(timerState{string(service), string(timer), state["UnitFileState"] == "enabled", state["ActiveState"] == "active"}), nil
}

// Do makes the timer as op wants it, enabled and waiting, or takes it away. A service
// that is at work is not disturbed.
func (h Timers) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if op.Action == host.Remove {
		return host.Fact{}, removeTimer(ctx, op.Path)
	}
	var want timerState
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	err := errors.Join(writeUnit(servicePath(op.Path), want.Service), writeUnit(op.Path, want.Timer))
	if err == nil {
		_, err = systemctl(ctx, "daemon-reload")
	}
	if err == nil {
		_, err = systemctl(ctx, "enable", "--now", filepath.Base(op.Path))
	}
	if err == nil && op.Action != host.Create {
		_, err = systemctl(ctx, "restart", filepath.Base(op.Path)) // else it waits by the old calendar
	}
	if err != nil {
		if op.Action == host.Create {
			err = errors.Join(err, removeTimer(context.WithoutCancel(ctx), op.Path))
		}
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func removeTimer(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		if _, err := systemctl(ctx, "disable", "--now", filepath.Base(path)); err != nil {
			return err
		}
	}
	for _, file := range []string{path, servicePath(path)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_, err := systemctl(ctx, "daemon-reload")
	// Without this one that failed would still be listed; neither may be known.
	_, _ = systemctl(ctx, "reset-failed", filepath.Base(path), filepath.Base(servicePath(path)))
	return err
}

// timerStep keeps the timer as wanted.
type timerStep struct {
	path string
	want host.Fact
}

func (t timerStep) ref() host.Ref { return host.Ref{Kind: KindTimer, Path: t.path} }

func (t timerStep) Name() string      { return t.path }
func (t timerStep) Reads() []host.Ref { return []host.Ref{t.ref()} }

func (t timerStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[t.ref()]
	if now.Foreign != "" {
		return step.Change{}, fault.Fail("remove it, or choose another --name", "%s is %s", t.path, now.Foreign)
	}
	if now.Hash() == t.want.Hash() {
		return step.Change{}, nil
	}
	var a, b timerState
	_ = json.Unmarshal(now.Data, &a) // nothing, if there is none yet
	_ = json.Unmarshal(t.want.Data, &b)
	op := host.Op{Ref: t.ref(), Action: host.Change, Want: t.want, Before: now.Hash()}
	if !now.Exists {
		op.Action = host.Create
	}
	items := append(unitItems(op.Action, servicePath(t.path), a.Service, b.Service), unitItems(op.Action, t.path, a.Timer, b.Timer)...)
	if len(items) == 0 {
		items = []step.Item{{Target: t.path, Action: host.Start, Diff: "(enabled and started)"}}
	}
	return step.Change{Items: items, Ops: []host.Op{op}}, nil
}

func unitItems(action host.Action, path, was, want string) []step.Item {
	if was == want {
		return nil
	}
	before := path
	if was == "" {
		before = "/dev/null"
	}
	return []step.Item{{Target: path, Action: action, Diff: udiff.Unified(before, path, was, want)}}
}
