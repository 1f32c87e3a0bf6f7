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

// awaitLate counts in what runs although no record has it: a container or process,
// or what renews, that came to be after its command was killed, and the image, which such an init
// has not noted. After a kill it gives them lateTime.
func (r *Registry) awaitLate(ctx context.Context, killed bool) error {
	if killed && (r.site.runs.Kind == engine.KindContainer || r.site.runs.Kind == engine.KindService) && r.state.Image == "" {
		r.state.Image = r.ourImage()
	}
	refs := []host.Ref{r.site.runs, {Kind: engine.KindLoop, Path: string(r.Dir)}}
	if r.Spec.Proxy.Image != "" {
		refs = append(refs, proxyRef(r.Spec))
	}
	known := func(ref host.Ref) bool {
		return slices.ContainsFunc(r.state.Receipts, func(receipt host.Receipt) bool { return receipt.Ref == ref })
	}
	deadline := time.NewTimer(lateTime)
	defer deadline.Stop()
	tick := time.NewTicker(lateTime / 20)
	defer tick.Stop()
	for {
		refs = slices.DeleteFunc(refs, known)
		seen, err := r.site.host.Look(ctx, refs)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if now := seen[ref]; now.Exists && now.Foreign == "" {
				late := host.Receipt{Host: host.LocalName, Ref: ref, Action: host.Create, After: now.Hash(), Changed: true}
				r.state.Receipts = append(r.state.Receipts, late)
			}
		}
		if !killed || !slices.ContainsFunc(refs, func(ref host.Ref) bool { return !known(ref) }) {
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
