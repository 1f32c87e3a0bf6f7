package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
)

// MayCollect refuses, before anything is asked, a registry whose garbage cannot be
// collected. It reports whether the registry must be stopped for it: a stock image, or
// the tasks of a swarm, have no way to refuse writes that clients would try again.
func (r *Registry) MayCollect() (stops bool, err error) {
	data, err := readFile(r.Dir.ServeConfig())
	if err != nil {
		return false, err
	}
	if data == nil {
		return false, fault.Usage("regctl apply writes it", "%s is missing", r.Dir.ServeConfig())
	}
	stops, err = embeddedregistry.CheckCollect(data)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.Dir.ServeConfig(), err)
	}
	if r.Spec.Swarmed() { // its tasks see no ctl/, by which others are told to refuse writes
		if volume := r.Spec.Storage.Volume; volume != "" {
			return false, fault.Usage("move the images to "+r.Dir.Data()+", or to --storage s3",
				"the images are in the Docker volume %s, which nothing of regctl's reaches while no task runs", volume)
		}
		return true, nil
	}
	if stops = stops || r.Spec.Image != ""; stops && !r.inFolder() {
		return false, fault.Usage("run `registry garbage-collect` of an image of its own on it, with the registry stopped",
			"the images are in %s, which nothing of regctl's reaches while %s is stopped", r.storage(), r.Name())
	}
	return stops, nil
}

// CountGarbage is what Collect would remove now. It changes nothing and needs no lock;
// with pushes under way it may count what they are about to need.
func (r *Registry) CountGarbage(ctx context.Context, untagged bool) (embeddedregistry.Collected, error) {
	found, err := r.sweep(ctx, engine.SweepOptions{Untagged: untagged, DryRun: true})
	return found.Collected, err
}

// Collect removes blobs that no manifest leads to and, with untagged, manifests that no
// tag leads to before. r is locked and connected. Writes are refused meanwhile, with
// the 503 that clients try again after, and it waits for those that have begun; with
// stops the registry is stopped instead. A cache in Redis forgets what goes before it
// goes.
//
// Killed at any point it leaves no manifest without its blobs; the next command that
// takes the lock has the registry take writes again.
func (r *Registry) Collect(ctx context.Context, untagged, stops bool) (found embeddedregistry.Collected, err error) {
	cache, err := r.sharedCache(ctx)
	if err != nil {
		return found, err
	}
	defer cache.close()
	running, err := r.runs(ctx)
	if err != nil {
		return found, err
	}
	if stops && running {
		if err := r.startsAgain(ctx); err != nil {
			return found, err
		}
		if err := r.turn(ctx, host.Stop); err != nil {
			return found, err
		}
		defer func() { err = errors.Join(err, r.turn(context.WithoutCancel(ctx), host.Start)) }()
		return r.remove(ctx, untagged, cache)
	}
	nonce, err := r.readonly()
	if err != nil {
		return found, err
	}
	defer func() {
		err = errors.Join(err, clearReadonly(r.Dir))
		if err == nil && running {
			_, err = r.awaitWrites(ctx, nonce, false)
		}
	}()
	if running {
		now, err := r.awaitWrites(ctx, nonce, true)
		if err == nil && cache != nil && !now.Uncached {
			err = stillCached()
		}
		if err != nil {
			return found, err
		}
	}
	if r.Progress != nil {
		r.Progress("looking for what no image needs")
	}
	return r.remove(ctx, untagged, cache)
}

func (r *Registry) runs(ctx context.Context) (bool, error) {
	refs := []host.Ref{r.site.runs}
	if !r.Spec.Swarmed() {
		refs = append(refs, replicaRefs(r.Spec, Place{Runs: r.site.runs})...)
	}
	seen, err := r.site.host.Look(ctx, refs)
	return slices.ContainsFunc(refs, func(ref host.Ref) bool {
		now := seen[ref]
		return now.Exists && now.Foreign == "" && r.site.isRunning(now)
	}), err
}

// turn starts or stops the registry, as it is.
func (r *Registry) turn(ctx context.Context, action host.Action) error {
	planned, err := r.PlanPower(ctx, action)
	if err != nil {
		return err
	}
	return r.Power(ctx, planned)
}

// inFolder reports whether the images are in DIR/data.
func (r *Registry) inFolder() bool {
	return r.Spec.Storage.Driver == spec.StorageFilesystem && r.Spec.Storage.Volume == ""
}

// storage is where the images are otherwise.
func (r *Registry) storage() string {
	if volume := r.Spec.Storage.Volume; volume != "" {
		return "the Docker volume " + volume
	}
	return "storage " + r.Spec.Storage.Driver
}

// sweep has a process of its own remove, or count, what is garbage: one on this
// machine that is the user whom the images belong to, or, where they are in no folder
// of ours, one in the registry's container.
func (r *Registry) sweep(ctx context.Context, o engine.SweepOptions) (engine.Swept, error) {
	switch {
	case r.inFolder():
		o.Data = r.Dir.Data()
		if _, err := os.Stat(o.Data); missing(err) {
			return engine.Swept{}, nil
		}
	case r.Spec.Runtime == spec.RuntimeDocker:
		o.Config = containerConfig
		return r.sweepInside(ctx, o)
	default:
		o.Config = r.Dir.ServeConfig()
	}
	if uid := r.site.place.UID; os.Geteuid() == 0 && uid > 0 {
		o.User = fmt.Sprintf("%d:%d", uid, r.site.place.GID)
	}
	return engine.Sweep(ctx, o)
}

func (r *Registry) sweepInside(ctx context.Context, o engine.SweepOptions) (engine.Swept, error) {
	running, err := r.runs(ctx)
	if err != nil {
		return engine.Swept{}, err
	}
	if !running {
		return engine.Swept{}, fault.Fail("regctl start starts it",
			"the images are in %s, which is reached from the container, and that does not run", r.storage())
	}
	docker, err := openDocker(ctx, r)
	if err != nil {
		return engine.Swept{}, err
	}
	return docker.Sweep(ctx, r.site.runs.Path, o)
}
