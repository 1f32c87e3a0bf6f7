package embeddedregistry

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"

	// What a configuration may name; check.go lists them.
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/azure"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/redirect"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/rewrite"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"

	"github.com/regctl/regctl/internal/fault"
)

// apps is the app that serves, which another can take the place of: it remembers
// which blobs there are (storage.cache), and has no way to be told that some went.
type apps struct {
	*handlers.App // the first: its settings and health checks are those of all
	current       atomic.Pointer[handlers.App]
	ctx           context.Context //nolint:containedctx // apps are made later too

	shared  bool // it remembers in a Redis, see pause
	fillers atomic.Int64
}

// serving is what answers requests: the app, or a mirror with two of them.
type serving interface {
	http.Handler
	pause() error
	renew() error
	filling() int
	Shutdown() error
}

// newApps makes the first app. Apps outlive ctx, so that requests can finish;
// Shutdown ends them.
func newApps(ctx context.Context, config *configuration.Configuration) (*apps, error) {
	for point, list := range config.Middleware {
		config.Middleware[point] = slices.DeleteFunc(list, func(m configuration.Middleware) bool { return m.Disabled })
	}
	if err := dropEvents(config); err != nil {
		return nil, err
	}
	if err := tuneDisk(config); err != nil {
		return nil, err
	}
	a := &apps{ctx: appContext{context.WithoutCancel(ctx), rand.Text()}, shared: sharesCache(config)}
	first, err := newApp(a.ctx, config)
	if err != nil {
		return nil, err
	}
	a.App = first
	a.current.Store(first)
	return a, nil
}

// ServeHTTP has the app serve that is in use now.
func (a *apps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.shared {
		a.serveShared(w, r)
		return
	}
	a.current.Load().ServeHTTP(w, r)
}

// renew puts a new app in the place of the one in use. Requests that have begun end
// where they are: they need nothing of what Shutdown ends.
func (a *apps) renew() error {
	if a.Config.Storage.Type() == "inmemory" {
		return nil // another app would be another storage
	}
	if a.shared {
		return a.unpause()
	}
	config := *a.Config
	config.Log.Hooks = nil // they are the logger's, not the app's
	next, err := newApp(a.ctx, &config)
	if err != nil {
		return err
	}
	if old := a.current.Swap(next); old != a.App {
		return old.Shutdown()
	}
	return nil // the first goes on checking the health
}

// Shutdown is for when no request is left.
func (a *apps) Shutdown() error {
	if now := a.current.Load(); now != a.App {
		return errors.Join(now.Shutdown(), a.App.Shutdown())
	}
	return a.App.Shutdown()
}

// newApp turns the panics by which NewApp reports a bad configuration into errors.
func newApp(ctx context.Context, config *configuration.Configuration) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Usage("`regctl config validate FILE` names what is wrong, line by line", "distribution refuses the configuration: %v", p)
		}
	}()
	return handlers.NewApp(ctx, config), nil
}

// appContext has the value that distribution puts into notifications as the
// instance that sent them.
type appContext struct {
	context.Context
	instance string
}

func (c appContext) Value(key any) any {
	if key == "instance.id" {
		return c.instance
	}
	return c.Context.Value(key)
}
