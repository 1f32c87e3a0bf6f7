package scenario

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// ErrNoRenewal is in the faults of a registry that has nothing to renew, or not as
// regctl.yaml says: no attempt was made.
var ErrNoRenewal = errors.New("nothing to renew")

// noRenewal adds ErrNoRenewal to a fault and leaves its words alone.
type noRenewal struct{ error }

func (n noRenewal) Unwrap() []error { return []error{n.error, ErrNoRenewal} }

// ConnectForRenewal is Connect for PlanRenewal and Renew. It asks no engine where
// none is needed: a timer may run while Docker does not, or know less of where it is.
func (r *Registry) ConnectForRenewal(ctx context.Context) (err error) {
	if err := r.needTLS(); err != nil {
		return noRenewal{err}
	}
	if was := r.state.TLS; was != "" && was != r.Spec.TLS.Mode {
		return noRenewal{fault.Usage("regctl plan shows what regctl apply would do about it",
			"%s says tls.mode %s, but the registry still has %s", r.Dir.Spec(), r.Spec.TLS.Mode, was)}
	}
	place := processPlace(r, r.Spec)
	switch r.Spec.Runtime {
	case spec.RuntimeDocker:
		place = dockerPlace(r.Dir, r.Spec)
	case spec.RuntimeSwarm:
		place = swarmPlace(r.Dir, r.Spec)
	}
	place.UID, place.GID = r.state.UID, r.state.GID
	if err := r.findFront(ctx, &place); err != nil {
		return err
	}
	if r.Spec.Runtime == spec.RuntimeProcess || !r.Spec.Swarmed() && r.Spec.Image == "" && r.Spec.Proxy.Image == "" && !r.Unfinished() {
		r.site = &site{host: host.NewLocal(withOurs(nil)), place: place}
		return nil
	}
	if known, getenv := r.state.Engine, r.getenv; known != "" {
		// A timer has no environment that would tell.
		r.getenv = func(name string) string {
			if name == "DOCKER_HOST" && getenv(name) == "" && getenv("DOCKER_CONTEXT") == "" {
				return known
			}
			return getenv(name)
		}
	}
	r.site, err = openRuntime(ctx, r)
	if err == nil {
		r.site.place = place
	}
	return err
}

// Connected reports whether there are the means to change the registry.
func (r *Registry) Connected() bool { return r.site != nil }

// Unfinished reports whether a command was killed at its work, or is at it now.
func (r *Registry) Unfinished() bool {
	_, err := os.Stat(r.Dir.Journal())
	return err == nil
}

// PlanRenewal plans what a renewal would do now: nothing while it is not due and
// force is not set. What is due for apply alone is not done.
func (r *Registry) PlanRenewal(ctx context.Context, force bool) (step.Planned, error) {
	return r.planLeaf(ctx, func(p Place) step.Step {
		switch r.Spec.TLS.Mode {
		case spec.TLSFiles:
			return broughtPair{spec: r.Spec, place: p, renewal: true}
		case spec.TLSLetsEncrypt:
			return r.orderAgain(ctx, p, force)
		}
		return renewedLeaf{certificates{r.Spec, p}, force}
	})
}

// planLeaf plans a step that may put another leaf in place, and what has the registry
// serve it.
func (r *Registry) planLeaf(ctx context.Context, change func(Place) step.Step) (step.Planned, error) {
	now, unreachable := r.endpoint(ctx).Chain(ctx)
	disk, _ := readFile(r.chainPath())
	// After a kill the swap is done, and not what comes after it.
	stale := now != nil && disk != nil && !engine.SameLeaf(now, disk)
	return r.unlocking(ctx, func() (step.Planned, error) {
		p := r.placeNow()
		p.Learnt = &r.learnt
		list := []step.Step{noted(change(p), p)}
		switch {
		case r.Spec.Swarmed():
			following, err := r.followedNow(ctx)
			if err != nil {
				return step.Planned{}, err
			}
			return step.Plan(ctx, r.site.host, join(list, following, []step.Step{retired{p}}))
		case p.Front != nil && !r.Spec.ProxyOnHost():
			list = append(list, pairCopy{p}, engine.ReloadStep{
				Container: proxyName(r.Spec), Check: nginxCommand("-t"), After: []host.Ref{fileRef(imagePair(p))},
			})
		case p.Front != nil:
			list = append(list, frontSite{spec: r.Spec, place: p})
		case r.Spec.Image != "":
			list = append(list, r.reloadStock(stale)...)
		}
		if unreachable == nil {
			wait := served(r.Spec, p)
			if stale {
				wait.After = nil
			}
			list = append(list, wait)
		}
		return step.Plan(ctx, r.site.host, append(list, retired{p}))
	})
}

// reloadStock restarts a stock registry, which loads its certificate once, when the
// pair changes; at once if it serves now what is not on disk any more.
func (r *Registry) reloadStock(stale bool) []step.Step {
	restart := restartIf{power: power{r.site.runs, r.site.want, host.Restart, r.site.isRunning}, only: []host.Ref{currentLink(r.site.place)}}
	if stale {
		restart.only = nil
	}
	return []step.Step{restart, engine.WaitStep{Endpoint: ownEndpoint(r.Spec), Container: r.site.runs.Path, After: []host.Ref{r.site.runs}}}
}

// restartIf is power for when one of only has changed; always where there is none.
type restartIf struct {
	power
	only []host.Ref
}

func (p restartIf) Plan(seen host.Facts) (step.Change, error) {
	change, err := p.power.Plan(seen)
	for i := range change.Items {
		change.Items[i].OnlyIf = p.only
		change.Items[i].Diff = "(it loads its certificate when it starts)"
	}
	for i := range change.Ops {
		change.Ops[i].OnlyIf = p.only
	}
	return change, err
}

// Restarts reports whether a plan restarts what runs.
func (r *Registry) Restarts(planned step.Planned) bool {
	return slices.ContainsFunc(planned.Items(), func(i step.Item) bool { return i.Action == host.Restart && i.Target == r.site.runs.String() })
}

// Rehearse makes in memory what a plan would make, and describes the certificate
// that would be served; ok is false where that would not change.
func (r *Registry) Rehearse(ctx context.Context, planned step.Planned) (info pki.Info, ok bool, err error) {
	for _, change := range planned.Changes {
		ops := change.Ops
		if change.Make != nil {
			if ops, err = change.Make(ctx); err != nil {
				return info, false, err
			}
		}
		for _, op := range ops {
			if op.Kind == host.File && op.Action != host.Remove && filepath.Base(op.Path) == filepath.Base(r.chainPath()) {
				info, err = pki.Inspect(op.Want.Data)
				return info, err == nil, err
			}
		}
	}
	return info, false, nil
}

// Renew carries out what PlanRenewal planned, and notes how it went. When the
// endpoint does not come to serve the new certificate the old one is put back.
func (r *Registry) Renew(ctx context.Context, planned step.Planned) error {
	before := r.state
	r.state.Renewal = &statedir.Renewal{At: time.Now().UTC().Truncate(time.Second)}
	return r.carryOut(ctx, planned, before, false)
}

// NoteRenewal notes under the lock that an attempt failed, or with nil that all is
// well. It is for status to tell.
func (r *Registry) NoteRenewal(failed error) error {
	last := r.state.Renewal
	if failed == nil && (last == nil || last.Error == "") {
		return nil
	}
	note := &statedir.Renewal{At: time.Now().UTC().Truncate(time.Second)}
	if failed != nil {
		note.Error, note.Hint, note.Leaf = failed.Error(), fault.Hint(failed), r.leafFingerprint()
	}
	r.state.Renewal = note
	return statedir.Save(r.Dir, r.state)
}

// FailedBefore reports whether the last attempt to renew failed.
func (r *Registry) FailedBefore() bool { return r.state.Renewal != nil && r.state.Renewal.Error != "" }

func (r *Registry) leafFingerprint() string {
	info, err := inspectFile(r.chainPath())
	if err != nil {
		return ""
	}
	return info.Fingerprint
}

// Leaf describes the certificate in use.
func (r *Registry) Leaf() (pki.Info, error) { return inspectFile(r.chainPath()) }

// OtherNames reports whether regctl.yaml names other hosts than the certificate that
// regctl issued, which is for apply to mend.
func (r *Registry) OtherNames() bool {
	leaf, err := r.Leaf()
	return err == nil && r.Spec.TLS.Mode != spec.TLSFiles && !sameNames(leaf.SANs(), r.Spec.Hosts)
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
