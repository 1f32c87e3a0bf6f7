package embeddedregistry

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/sirupsen/logrus"
)

// lookEvery is the longest that a change in ctl/ goes unseen.
const lookEvery = 250 * time.Millisecond

// holdManifest is how long the manifest of a push waits for the registry to take writes
// again, where it is known that it will: no client sends a manifest twice.
const holdManifest = 30 * time.Second

// How a registry is had to refuse writes, and asked about it.
const (
	// ReadonlyName is the file in ctl/ that has a registry refuse writes. What is in it
	// matters to those who ask at ReadonlyPath: a Readonly.
	ReadonlyName = "readonly"
	// ReadonlyPath answers a Writes to a GET that has the Readonly's nonce in the header
	// ReadonlyHeader, and to others what the registry would without it.
	ReadonlyPath   = "/regctl/readonly"
	ReadonlyHeader = "Regctl-Nonce"
	// maxReadonly is in bytes.
	maxReadonly = 4096
)

// Readonly is what ctl/readonly holds, as JSON; nothing, if somebody made it by hand.
type Readonly struct {
	Nonce string `json:"nonce"` // long and random
	By    string `json:"by"`    // who wrote it
}

// Writes is how it stands with requests that write.
type Writes struct {
	Readonly bool `json:"readonly"`
	// UnderWay are those that were let in and have not ended, and of others those that may
	// yet put something into a cache in Redis. Once Readonly is true they only become
	// fewer.
	UnderWay int `json:"underWay"`
	// Held are manifests that wait for Readonly to end. They are let in after, or are not.
	Held int `json:"held"`
	// Uncached is whether no request that begins now asks a cache in Redis, or puts
	// anything there. It is so while Readonly is true.
	Uncached bool `json:"uncached"`
}

// control is how a running registry is told things: by files in ctl/.
type control struct {
	dir   string
	store remembering

	seen   atomic.Bool // readonly, for those who need not be exact
	mu     sync.Mutex
	looked time.Time
	nonce  string // the last one
	brief  bool   // a program made it read-only, which will end it
	writes Writes
}

// remembering is what answers requests and remembers what blobs there are.
type remembering interface {
	// pause has it ask no cache that others have too, nor fill one.
	pause() error
	// renew has it do so again, and forget what it alone remembers of the storage, which
	// another program may have changed meanwhile.
	renew() error
	// filling is how many requests that began before pause may fill one yet.
	filling() int
}

// newControl looks at once: a registry may be started while others are read-only.
func newControl(dir string, store remembering) *control {
	c := &control{dir: dir, store: store}
	c.look(true)
	return c
}

// look finds out whether ctl/readonly exists, at most lookEvery ago, or now. c is
// locked.
func (c *control) look(now bool) {
	if at := time.Now(); now || at.Sub(c.looked) >= lookEvery {
		data, err := readAtMost(filepath.Join(c.dir, ReadonlyName), maxReadonly)
		c.looked = at
		switch gone := errors.Is(err, fs.ErrNotExist); {
		case gone && c.writes.Readonly:
			if err := c.store.renew(); err != nil {
				logrus.Errorf("staying read-only until a restart: %v", err)
				return
			}
			c.writes.Readonly, c.writes.Uncached = false, false
		case !gone:
			c.turnReadonly()
			var file Readonly
			if c.brief = json.Unmarshal(data, &file) == nil; c.brief {
				c.nonce = file.Nonce
			}
		}
		c.seen.Store(c.writes.Readonly)
	}
}

// turnReadonly is for the first look that sees it. c is locked.
func (c *control) turnReadonly() {
	if c.writes.Readonly {
		return
	}
	c.writes.Readonly, c.writes.Uncached = true, true
	if err := c.store.pause(); err != nil {
		logrus.Errorf("going on to ask the cache in Redis while read-only: %v", err)
		c.writes.Uncached = false
	}
}

// begin lets a request that writes in, or does not.
func (c *control) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(false); c.writes.Readonly {
		return false
	}
	c.writes.UnderWay++
	return true
}

// beginLater is begin for a request that may wait. Nothing counts on what it needs
// being there yet: it is looked for when it is let in.
func (c *control) beginLater(ctx context.Context) bool {
	if c.begin() {
		return true
	}
	c.held(1)
	defer c.held(-1)
	end := time.NewTimer(holdManifest)
	defer end.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for c.isBrief() {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return false
		case <-tick.C:
			if c.begin() {
				return true
			}
		}
	}
	return false
}

func (c *control) held(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.Held += more
}

func (c *control) isBrief() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.brief
}

func (c *control) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.UnderWay--
}

// glance has those who read notice the end of read-only mode too.
func (c *control) glance() {
	if c.seen.Load() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.look(false)
	}
}

// tell answers whoever knows the nonce, of the file that is there or was there last.
func (c *control) tell(nonce string) (w Writes, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(true)
	now := c.writes
	now.UnderWay += c.store.filling()
	return now, c.nonce != "" && subtle.ConstantTimeCompare([]byte(nonce), []byte(c.nonce)) == 1
}

// guard answers 503 to writes while the registry is read-only, uploads under way
// included: unlike the 405 of storage.maintenance.readonly it is one that Docker
// tries again. A manifest, which it would not send again, waits. Requests that have
// begun go on.
func (c *control) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			if nonce := r.Header.Get(ReadonlyHeader); nonce != "" && r.URL.Path == ReadonlyPath {
				if writes, ok := c.tell(nonce); ok {
					w.Header().Set("Content-Type", "application/json")
					_ = json.NewEncoder(w).Encode(writes)
					return
				}
			}
			c.glance()
		default:
			begin := c.begin
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
				begin = func() bool { return c.beginLater(r.Context()) }
			}
			if !begin() {
				w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
				w.Header().Set("Retry-After", "5")
				_ = errcode.ServeJSON(w, errcode.ErrorCodeUnavailable.
					WithMessage("the registry is read-only for a while, for maintenance"))
				return
			}
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
}
