package trust

import (
	"bytes"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// heard has dockerd read a daemon.json that holds the entry already, whoever wrote it,
// where docker info says that this dockerd does not know of it. Nothing of that is to
// be undone.
type heard struct {
	Edit
	shows string // what docker info says of it, once it is known
}

// Name implements step.Step.
func (h heard) Name() string { return "reload for " + h.Edit.Name() + " " + h.shows }

// Reads implements step.Step.
func (h heard) Reads() []host.Ref { return append(h.Edit.Reads(), host.DockerInfoRef()) }

// Plan implements step.Step.
func (h heard) Plan(seen host.Facts) (step.Change, error) {
	file, info := seen[h.ref()], seen[host.DockerInfoRef()].Data
	if !file.Exists || file.Foreign != "" || !h.Editor.Has(file.Data) || len(info) == 0 || bytes.Contains(info, []byte(h.shows)) {
		return step.Change{}, nil // the edit sees to it, or it is known
	}
	ops, err := h.Then(file.Data, file.Data)
	if err != nil {
		return step.Change{}, named(h.Path, err)
	}
	c := step.Change{Ops: ops}
	for _, op := range ops {
		if op.Action != host.Wait {
			c.Items = append(c.Items, step.Item{Target: op.Path, Action: op.Action, Diff: "(dockerd does not know of the entry in " + h.Path + ")\n"})
		}
	}
	return c, nil
}
