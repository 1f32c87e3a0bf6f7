package engine

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Kinds of thing that a Docker Swarm adds. Their Ref.Path is the service's name.
const (
	KindService host.Kind = "service" // Fact.Data is a serviceFact
	KindRolled  host.Kind = "rolled"  // a service whose tasks are all as it is; it can be waited for and no more
)

// LabelNode is the id of the manager whose regctl made a service: the directory of a
// registry is that machine's, while a service is the whole swarm's.
const LabelNode = "io.regctl.node"

// Service is a registry as a service of a swarm. It is kept as a label on the
// service, so it must hold no secret: what is in serve/ goes to the tasks as configs
// and secrets, see ServedFile.
type Service struct {
	Name        string   `json:"name"`
	Registry    string   `json:"registry"`
	Dir         string   `json:"dir"`
	Image       string   `json:"image"` // a reference that this engine has; the service names its id, which no node pulls
	Args        []string `json:"args,omitempty"`
	User        string   `json:"user"` // UID:GID
	Replicas    int      `json:"replicas"`
	Port        uint16   `json:"port"`
	Inside      uint16   `json:"inside"`
	Ingress     bool     `json:"ingress,omitempty"`
	Constraints []string `json:"constraints,omitempty"`
	Mounts      []Mount  `json:"mounts,omitempty"`
	AddHosts    []string `json:"addHosts,omitempty"` // NAME:IP
	Env         []string `json:"env,omitempty"`
	Health      []string `json:"health,omitempty"`
}

// ServedFile is a file of serve/ that tasks get below Service.ServeAt.
type ServedFile struct {
	Path   string // slash-separated, relative to serve/
	Data   []byte
	Secret bool // a secret of the swarm's; else a config, which docker config inspect shows
}

// serviceFact is a Service together with how it fares.
type serviceFact struct {
	Service
	Running bool `json:"running"` // it is to have tasks
	// Stale are files that the tasks are given otherwise than serve/ has them by now.
	Stale []string `json:"stale,omitempty"`
	// Leftover says that configs or secrets are there without the service.
	Leftover bool `json:"leftover,omitempty"`
}

func (s serviceFact) fact() host.Fact { return host.Fact{Exists: true, Data: canonical(s)} }

// ServiceStep has the service made and its tasks be given what serve/ holds. One that
// differs is updated, which swarm does one task after the other.
type ServiceStep struct {
	Want Service
	// Files are what serve/ is made of: the service takes them over if one changes.
	Files []host.Ref
	// Stopped leaves it without tasks.
	Stopped bool
	// Pause tells people what an update costs, "" if it costs nothing.
	Pause string
}

func (s ServiceStep) ref() host.Ref { return host.Ref{Kind: KindService, Path: s.Want.Name} }

// Name implements step.Step.
func (s ServiceStep) Name() string { return s.ref().String() }

// Reads implements step.Step.
func (s ServiceStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step. All changes of a service that is there are restarts in
// the sense of host.Restart: to undo one, the service is made to follow once more, when
// its files are back.
func (s ServiceStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	if now.Foreign != "" {
		return step.Change{}, fault.Fail("choose another --name, or remove that one yourself: docker service rm "+s.Want.Name,
			"the service name %s is taken by %s", s.Want.Name, now.Foreign)
	}
	var was serviceFact
	if now.Exists {
		if err := json.Unmarshal(now.Data, &was); err != nil {
			return step.Change{}, err
		}
	}
	want := serviceFact{Service: s.Want, Running: !s.Stopped}
	op := host.Op{Ref: s.ref(), Action: host.Restart, Want: want.fact(), Before: host.AnyBefore}
	item := step.Item{Target: s.Name(), Action: host.Change}
	switch {
	case !now.Exists || was.Leftover:
		op.Action, item.Action = host.Create, host.Create
		item.Diff = diffOf("service "+s.Want.Name, nil, &s.Want)
	case !bytes.Equal(canonical(was.Service), canonical(s.Want)):
		item.Diff = diffOf("service "+s.Want.Name, &was.Service, &s.Want) + s.costs()
	case len(was.Stale) > 0:
		item.Action = host.Restart
		item.Diff = "(its tasks have another " + strings.Join(was.Stale, ", ") + " than serve)\n" + s.costs()
	case !was.Running && !s.Stopped:
		op.Action, item.Action, item.Diff = host.Start, host.Start, "it is stopped"
	case len(s.Files) == 0:
		return step.Change{}, nil
	default:
		op.OnlyIf, item.OnlyIf = s.Files, s.Files
		item.Action = host.Restart
		item.Diff = "(for its tasks to get what changed, one after the other)\n" + s.costs()
	}
	return step.Change{Items: []step.Item{item}, Ops: []host.Op{op}}, nil
}

func (s ServiceStep) costs() string {
	if s.Pause == "" {
		return ""
	}
	return "(" + s.Pause + ")\n"
}

// RolledStep waits until all tasks are as the service is, and serve, if one of After
// has changed.
type RolledStep struct {
	Want  Rolled
	After []host.Ref
}

// Rolled says what is waited for.
type Rolled struct {
	Service string `json:"service"`
	// Endpoint is the registry as clients know it; each task is asked at its node's
	// address.
	Endpoint Endpoint `json:"endpoint"`
	// Leaf is the file with the certificate that each must serve; "" where there is none.
	Leaf string `json:"leaf,omitempty"`
	// Made is what the service is to have been made as; nil is whatever it is.
	Made *Service `json:"made,omitempty"`
	// Updated says that the service was updated just now, so that an update which was
	// taken back is that one.
	Updated bool `json:"updated,omitempty"`
}

// Name implements step.Step.
func (s RolledStep) Name() string { return "tasks of service " + s.Want.Service }

// Reads implements step.Step.
func (s RolledStep) Reads() []host.Ref { return nil }

// Plan implements step.Step. There is no line for it: waiting changes nothing.
func (s RolledStep) Plan(host.Facts) (step.Change, error) {
	return step.Change{Ops: []host.Op{{
		Ref:    host.Ref{Kind: KindRolled, Path: s.Want.Service},
		Action: host.Wait,
		Want:   host.Fact{Exists: true, Data: canonical(s.Want)},
		Before: host.AnyBefore,
		OnlyIf: s.After,
	}}}, nil
}
