package scenario

import (
	"context"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
)

// lateTime is how long an engine may go on with a container, or a process with
// its start, after the command that asked for it was killed.
const lateTime = time.Second

// awaitLate counts in what runs although no record has it: a container or process
// that came to be after its command was killed, and the image, which such an init
// has not noted. After a kill it gives them lateTime.
func (r *Registry) awaitLate(ctx context.Context, killed bool) error {
	ref := r.site.runs
	if killed && ref.Kind == engine.KindContainer && r.state.Image == "" {
		r.state.Image = r.ourImage()
	}
	known := func(receipt host.Receipt) bool { return receipt.Ref == ref }
	if slices.ContainsFunc(r.state.Receipts, known) {
		return nil
	}
	deadline := time.NewTimer(lateTime)
	defer deadline.Stop()
	tick := time.NewTicker(lateTime / 20)
	defer tick.Stop()
	for {
		seen, err := r.site.host.Look(ctx, []host.Ref{ref})
		if err != nil {
			return err
		}
		if now := seen[ref]; now.Exists && now.Foreign == "" {
			late := host.Receipt{Host: host.LocalName, Ref: ref, Action: host.Create, After: now.Hash(), Changed: true}
			r.state.Receipts = append(r.state.Receipts, late)
			return nil
		}
		if !killed {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return nil
		case <-tick.C:
		}
	}
}

// ourImage is what an init of this executable has a container run, "" if unknown.
func (r *Registry) ourImage() string {
	if r.Spec.Image != "" {
		return ""
	}
	exe := r.Spec.LinuxBinary
	if exe == "" {
		exe, _ = image.Executable()
	}
	info, _ := image.Describe(exe) // none, of an executable that init refuses
	return info.Ref
}
