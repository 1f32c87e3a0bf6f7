package engine

import (
	"bytes"
	"encoding/json"
	"net/netip"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Container is one registry's container as it should be. All else follows from it:
// it restarts always, its root file system is read-only, it has no capabilities
// and can gain none. It is kept as a label on the container, so it must hold no
// secret.
type Container struct {
	Name       string   `json:"name"`
	Registry   string   `json:"registry"`
	Dir        string   `json:"dir"`
	Image      string   `json:"image"`
	Entrypoint []string `json:"entrypoint,omitempty"` // nil: the image's
	Args       []string `json:"args,omitempty"`       // nil: the image's
	User       string   `json:"user"`                 // UID:GID
	Publish    []Port   `json:"publish,omitempty"`
	Mounts     []Mount  `json:"mounts,omitempty"`
	AddHosts   []string `json:"addHosts,omitempty"` // NAME:IP
	Network    string   `json:"network,omitempty"`  // the one network it is in; "" is the engine's own
	Env        []string `json:"env,omitempty"`      // NAME=VALUE
	Tmpfs      []string `json:"tmpfs,omitempty"`    // paths, for an image that must write to them
	// Health is the command that tells whether the registry answers, run in the
	// container without a shell; nil is none.
	Health []string `json:"health,omitempty"`
}

// Port is a TCP port of the host that leads to one of the container.
type Port struct {
	IP        netip.Addr `json:"ip,omitzero"` // the zero Addr is all, IPv4 and IPv6
	Host      uint16     `json:"host"`
	Container uint16     `json:"container"`
}

// Mount is a folder of the host, or with Volume a named volume, in the container.
type Mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	Volume   bool   `json:"volume,omitempty"`
}

// containerFact is a Container together with how it fares.
type containerFact struct {
	Container
	Running bool `json:"running"`
	// Leftover says that a change of the container did not end: its predecessor is
	// still there under another name.
	Leftover bool `json:"leftover,omitempty"`
}

func (c containerFact) fact() host.Fact { return host.Fact{Exists: true, Data: canonical(c)} }

// ContainerStep has the container made and running as wanted. One that differs is
// replaced; the old one comes back if the new one does not start.
type ContainerStep struct {
	Want Container
	// RestartIf names what the registry reads only when it starts: the container is
	// restarted if one of these changes.
	RestartIf []host.Ref
	// Stopped has it made but not started.
	Stopped bool
}

func (s ContainerStep) ref() host.Ref { return host.Ref{Kind: KindContainer, Path: s.Want.Name} }

// Name implements step.Step.
func (s ContainerStep) Name() string { return s.ref().String() }

// Reads implements step.Step.
func (s ContainerStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step.
func (s ContainerStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	if now.Foreign != "" {
		return step.Change{}, fault.Fail("choose another --name, or remove that one yourself: docker rm -f "+s.Want.Name,
			"the container name %s is taken by %s", s.Want.Name, now.Foreign)
	}
	want := containerFact{Container: s.Want, Running: !s.Stopped}.fact()
	op := host.Op{Ref: s.ref(), Want: want, Before: now.Hash()}
	item := step.Item{Target: s.Name()}
	var was containerFact
	if now.Exists {
		if err := json.Unmarshal(now.Data, &was); err != nil {
			return step.Change{}, err
		}
	}
	switch {
	case !now.Exists:
		op.Action = host.Create
		item.Diff = diffOf("container "+s.Want.Name, nil, &s.Want)
	case now.Hash() == want.Hash():
		if len(s.RestartIf) == 0 || s.Stopped {
			return step.Change{}, nil
		}
		op.Action, op.OnlyIf, item.OnlyIf = host.Restart, s.RestartIf, s.RestartIf
		item.Diff = "for it to read what changed"
	case bytes.Equal(canonical(was.Container), canonical(s.Want)) && !was.Leftover:
		// The op is a change, not a start: one that is as wanted by then is well.
		op.Action, item.Action, item.Diff = host.Change, host.Start, "it is stopped"
		if s.Stopped {
			item.Action, item.Diff = host.Stop, "it is running"
		}
	default:
		op.Action = host.Change
		item.Diff = diffOf("container "+s.Want.Name, &was.Container, &s.Want)
	}
	if item.Action == "" {
		item.Action = op.Action
	}
	return step.Change{Items: []step.Item{item}, Ops: []host.Op{op}}, nil
}

// diffOf shows containers, or services, as indented JSON without empty values.
func diffOf[T any](name string, was, want *T) string {
	text := func(c *T) (label, body string) {
		if c == nil {
			return "/dev/null", ""
		}
		var out bytes.Buffer
		_ = json.Indent(&out, canonical(c), "", "  ")
		return name, out.String() + "\n"
	}
	oldLabel, old := text(was)
	newLabel, now := text(want)
	if old == now {
		return "a change of it was interrupted"
	}
	return udiff.Unified(oldLabel, newLabel, old, now)
}
