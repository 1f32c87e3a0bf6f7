package scenario

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
)

// gcCache is the Redis that remembers what blobs there are; nil for none.
type gcCache struct{ *embeddedregistry.SharedCache }

// stillCached is for a registry that runs another regctl than this one, or that could
// not do without its Redis: its log says why.
func stillCached() error {
	return fault.Fail("regctl apply, and regctl restart where that changes nothing, has it run this regctl; if it does, regctl logs tells why",
		"the registry goes on filling its cache in Redis, which would name blobs that went: nothing was removed")
}

// sharedCache opens the Redis of config.yml, and asks it whether it is there: garbage
// that it cannot forget stays.
func (r *Registry) sharedCache(ctx context.Context) (*gcCache, error) {
	data, err := readFile(r.Dir.ServeConfig())
	if err != nil {
		return nil, err
	}
	cache, err := embeddedregistry.OpenSharedCache(data, func(path string) string {
		if served, ok := strings.CutPrefix(path, r.site.place.ServeAt+"/"); ok {
			return filepath.Join(r.Dir.Serve(), served)
		}
		return path
	})
	if err != nil || cache == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	if err := cache.Ping(ctx); err != nil {
		return nil, errors.Join(fault.Fail(redisHint(err), "nothing was removed, for the Redis at %s would go on naming it: %w", cache.Addr, err), cache.Close())
	}
	return &gcCache{cache}, nil
}

func (c *gcCache) close() {
	if c != nil {
		_ = c.Close()
	}
}

// remove has what is garbage removed. Nobody writes meanwhile, and no registry of ours
// asks the cache, or fills it: so what it forgets before it is removed is what goes, and
// a gc that is killed in between leaves nothing there that is no more.
func (r *Registry) remove(ctx context.Context, untagged bool, cache *gcCache) (embeddedregistry.Collected, error) {
	o := engine.SweepOptions{Untagged: untagged}
	if cache == nil {
		found, err := r.sweep(ctx, o)
		return found.Collected, err
	}
	listing := o
	listing.DryRun, listing.List = true, true
	garbage, err := r.sweep(ctx, listing)
	if err != nil || len(garbage.Digests) == 0 {
		return garbage.Collected, err
	}
	if err := cache.Forget(ctx, garbage.Digests); err != nil {
		return embeddedregistry.Collected{}, fault.Fail(redisHint(err), "nothing was removed, for the Redis at %s would go on naming it: %w", cache.Addr, err)
	}
	found, err := r.sweep(ctx, o)
	// A word of a registry's may have been long on its way.
	if again := cache.Forget(ctx, garbage.Digests); err == nil && again != nil {
		err = fault.Fail("what went it had forgotten before: only a registry on another machine can have had it remember that again",
			"the garbage is gone; the Redis at %s was to be asked once more: %w", cache.Addr, again)
	}
	return found.Collected, err
}
