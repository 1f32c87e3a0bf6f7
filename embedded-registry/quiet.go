package embeddedregistry

import (
	"context"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	repositorymiddleware "github.com/distribution/distribution/v3/registry/middleware/repository"
)

// eventless is the name of a repository middleware of ours; a configuration cannot
// name it, see checkMiddleware.
const eventless = "regctl-eventless"

// registerEventless is once a process, because distribution keeps middlewares in a
// global map that requests read without a lock.
var registerEventless = sync.OnceValue(func() error {
	return repositorymiddleware.Register(eventless, withoutEvents)
})

// dropEvents keeps distribution from building an event for every request where no
// endpoint is there to get it: much of the time of a manifest GET.
func dropEvents(config *configuration.Configuration) error {
	if slices.ContainsFunc(config.Notifications.Endpoints, func(e configuration.Endpoint) bool { return !e.Disabled }) {
		return nil
	}
	if err := registerEventless(); err != nil {
		return err
	}
	prepend(config, "repository", configuration.Middleware{Name: eventless})
	return nil
}

// prepend makes m the innermost middleware at a point.
func prepend(config *configuration.Configuration, point string, m configuration.Middleware) {
	if config.Middleware == nil {
		config.Middleware = map[string][]configuration.Middleware{}
	}
	config.Middleware[point] = append([]configuration.Middleware{m}, config.Middleware[point]...)
}

// withoutEvents takes off the repository what notifications.Listen put around it: a
// struct that embeds the repository, and whose methods call it and then tell the
// listener. Anything else is left as it is.
func withoutEvents(_ context.Context, repo distribution.Repository, _ map[string]any) (distribution.Repository, error) {
	v := reflect.Indirect(reflect.ValueOf(repo))
	if v.Kind() != reflect.Struct || v.Type().PkgPath() != "github.com/distribution/distribution/v3/notifications" {
		return repo, nil
	}
	inner, ok := v.FieldByName("Repository").Interface().(distribution.Repository)
	if !ok {
		return repo, nil
	}
	return inner, nil
}

// tuneGC makes collections rarer unless GOGC says otherwise: a registry's live heap
// is a few MB, and its garbage a request's.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
