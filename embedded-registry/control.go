package embeddedregistry

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// lookEvery is the longest that a change in ctl/ goes unseen.
const lookEvery = 250 * time.Millisecond

// control is how a running registry is told things: by files in ctl/.
type control struct {
	dir string

	mu       sync.Mutex
	looked   time.Time
	readonly bool
}

func newControl(dir string) *control { return &control{dir: dir} }

// isReadonly tells whether ctl/readonly exists, at most lookEvery ago.
func (c *control) isReadonly() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		_, err := os.Lstat(filepath.Join(c.dir, "readonly"))
		c.looked, c.readonly = now, err == nil
	}
	return c.readonly
}

// guard answers 503 to writes while the registry is read-only, uploads under way
// included: unlike the 405 of storage.maintenance.readonly it is one that Docker
// tries again. Requests that have begun go on.
func (c *control) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			if c.isReadonly() {
				w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
				w.Header().Set("Retry-After", "5")
				_ = errcode.ServeJSON(w, errcode.ErrorCodeUnavailable.
					WithMessage("the registry is read-only for a while, for maintenance"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
