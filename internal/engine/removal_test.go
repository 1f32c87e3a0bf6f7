package engine_test

import (
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// removal is a step that has one thing gone. The program itself removes by receipts.
type removal struct{ ref host.Ref }

func removeContainer(name string) step.Step {
	return removal{host.Ref{Kind: engine.KindContainer, Path: name}}
}

func removeImage(ref string) step.Step { return removal{host.Ref{Kind: engine.KindImage, Path: ref}} }

func removeVolume(name string) step.Step {
	return removal{host.Ref{Kind: engine.KindVolume, Path: name}}
}

func (r removal) Name() string      { return r.ref.String() }
func (r removal) Reads() []host.Ref { return []host.Ref{r.ref} }

// Plan leaves alone what is somebody else's.
func (r removal) Plan(seen host.Facts) (step.Change, error) {
	now := seen[r.ref]
	if !now.Exists || now.Foreign != "" {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: r.Name(), Action: host.Remove, Diff: "remove " + r.Name()}},
		Ops:   []host.Op{{Ref: r.ref, Action: host.Remove, Before: now.Hash()}},
	}, nil
}
