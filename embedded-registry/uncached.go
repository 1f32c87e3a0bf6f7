package embeddedregistry

import (
	"io"
	"maps"
	"net/http"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
)

// cacheRedis is the value of storage.cache.blobdescriptor for a cache that other
// registries have too.
const cacheRedis = "redis"

// Whoever removes blobs has a cache in Redis forget them first. A registry that looked
// for one just before would put it back just after, and name it for ever: so while it is
// read-only a registry asks its storage alone, and those requests count that began
// before and may yet have something to put there.

// sharesCache reports whether blobs are remembered in a Redis.
func sharesCache(c *configuration.Configuration) bool {
	of := c.Storage["cache"]
	value, ok := of["blobdescriptor"]
	if !ok {
		value = of["layerinfo"] // its name of old
	}
	return value == cacheRedis
}

// pause puts an app without the Redis in the place of the one in use, until renew.
func (a *apps) pause() error {
	if !a.shared || a.Config.Storage.Type() == "inmemory" {
		return nil // another app would be another storage
	}
	config := *a.Config
	config.Log.Hooks = nil // they are the logger's, not the app's
	config.Redis = configuration.Redis{}
	config.Storage = maps.Clone(config.Storage)
	delete(config.Storage, "cache")
	next, err := newApp(a.ctx, &config)
	if err != nil {
		return err
	}
	a.current.Store(next)
	return nil
}

// unpause goes back to the first app: what its Redis knows is not its own to forget.
func (a *apps) unpause() error {
	if paused := a.current.Swap(a.App); paused != a.App {
		return paused.Shutdown()
	}
	return nil
}

// filling is how many requests may yet put into the Redis what they found. Once pause
// is done they only become fewer.
func (a *apps) filling() int { return int(a.fillers.Load()) }

// serveShared counts a request until it answers: distribution remembers a blob before it
// sends the first byte about it. It is counted before it chooses its app, so that nobody
// who is not counted has the one with the Redis.
func (a *apps) serveShared(w http.ResponseWriter, r *http.Request) {
	a.fillers.Add(1)
	filled := sync.OnceFunc(func() { a.fillers.Add(-1) })
	defer filled()
	app := a.current.Load()
	if app != a.App {
		filled()
		app.ServeHTTP(w, r)
		return
	}
	app.ServeHTTP(&filler{w, filled}, r)
}

// filler notices when a response begins.
type filler struct {
	http.ResponseWriter
	filled func()
}

func (f *filler) WriteHeader(status int) {
	f.filled()
	f.ResponseWriter.WriteHeader(status)
}

func (f *filler) Write(p []byte) (int, error) {
	f.filled()
	return f.ResponseWriter.Write(p)
}

// ReadFrom leaves the copying of a stored file to the kernel.
func (f *filler) ReadFrom(from io.Reader) (int64, error) {
	f.filled()
	return io.Copy(f.ResponseWriter, from)
}

// Unwrap is for http.ResponseController.
func (f *filler) Unwrap() http.ResponseWriter { return f.ResponseWriter }
