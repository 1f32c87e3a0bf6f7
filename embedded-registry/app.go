package embeddedregistry

import (
	"context"
	"crypto/rand"
	"slices"

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

// newApp turns the panics by which NewApp reports a bad configuration into errors.
// The app outlives ctx, so that requests can finish; App.Shutdown ends it.
func newApp(ctx context.Context, config *configuration.Configuration) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Usage("`regctl config validate FILE` names what is wrong, line by line", "distribution refuses the configuration: %v", p)
		}
	}()
	for point, list := range config.Middleware {
		config.Middleware[point] = slices.DeleteFunc(list, func(m configuration.Middleware) bool { return m.Disabled })
	}
	if err := dropEvents(config); err != nil {
		return nil, err
	}
	if err := tuneDisk(config); err != nil {
		return nil, err
	}
	return handlers.NewApp(appContext{context.WithoutCancel(ctx), rand.Text()}, config), nil
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
