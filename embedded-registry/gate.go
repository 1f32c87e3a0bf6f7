package embeddedregistry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"
	"golang.org/x/sync/singleflight"

	"github.com/regctl/regctl/internal/htpasswd"
)

// turnTime is how long a password that is not remembered yet may wait for its turn.
// Docker gives up waiting for headers later than that.
const turnTime = 5 * time.Second

// gate lets in those whom the htpasswd file names, in place of distribution's own
// access controller, which runs bcrypt for every request. A credential that was right
// is remembered; the others wait their turn for bcrypt, see queue. Every request to
// the app passes here.
type gate struct {
	accounts *accounts
	cache    *cache
	flight   singleflight.Group // by what is remembered
	queue    *queue
	headers  http.Header // those of http.headers
	patience time.Duration

	most   int    // entries of one page of the catalog
	tokens *cache // those whose signature was right
	access accesses
	path   string  // where tokens are given out
	canary *canary // nil: none
}

func newGate(a *accounts, config *configuration.Configuration) *gate {
	return &gate{
		accounts: a, cache: newCache(), queue: newQueue(bcryptSlots()),
		headers: config.HTTP.Headers, patience: turnTime,
		most: config.Catalog.MaxEntries, tokens: newCache(), access: newAccesses(config.HTTP.Prefix),
		path: strings.TrimSuffix(config.HTTP.Prefix, "/") + "/token",
	}
}

func (g *gate) guard(next http.Handler) http.Handler {
	catalog := filtered(next, g.most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		may, ok := g.enters(w, r)
		switch {
		case !ok:
		case may != nil:
			catalog(w, r, may)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// enters answers the request itself where it does not let it in. With may, what is
// asked for is the catalog, and shows the repositories that may says.
func (g *gate) enters(w http.ResponseWriter, r *http.Request) (may func(repository string) bool, ok bool) {
	now := g.accounts.look(false)
	switch {
	case !now.on:
		return nil, true
	case now.issuer != nil:
		return g.takesToken(w, r, now)
	}
	return nil, g.takesPassword(w, r, now)
}

func (g *gate) takesPassword(w http.ResponseWriter, r *http.Request, now *roster) bool {
	user, password, given := r.BasicAuth()
	switch err := g.check(r, now, user, password, given); {
	case err == nil:
		return true
	case errors.Is(err, errRefused):
		g.refuse(w, now.realm)
	case r.Context().Err() != nil: // nobody is there to be answered
	default:
		g.putOff(w)
	}
	return false
}

var (
	errRefused = errors.New("wrong user or password")
	errBusy    = errors.New("too many passwords to check")
)

func (g *gate) check(r *http.Request, now *roster, user, password string, given bool) error {
	if !given {
		return errRefused
	}
	if g.remembered(now, user, password) {
		return nil
	}
	// A bcrypt is due: beside that a look at the file costs nothing, and whoever was
	// added this moment is in it.
	if now = g.accounts.look(true); !now.on || g.remembered(now, user, password) {
		return nil
	}
	if now.broken {
		return errBusy
	}
	return g.first(r, now, user, password)
}

// remembered costs no more than a hash of what was sent.
func (g *gate) remembered(now *roster, user, password string) bool {
	return g.hashOf(now, user, password) != ""
}

// hashOf is that line of the user's which a remembered password has; "" for none.
func (g *gate) hashOf(now *roster, user, password string) string {
	for _, hash := range now.hashes(user) {
		if g.cache.has(g.cache.key(user, password, hash)) {
			return hash
		}
	}
	return ""
}

// first checks a credential that is not remembered. Those who send the same one at
// once wait for one check.
func (g *gate) first(r *http.Request, now *roster, user, password string) error {
	hashes := now.hashes(user)
	if len(hashes) == 0 {
		hashes = []string{now.dummy} // an unknown user takes as long as a known one
	}
	from := now.address(r)
	flight := g.cache.key(append([]string{user, password}, hashes...)...)
	done := g.flight.DoChan(string(flight[:]), func() (any, error) {
		// It outlives the request that began it: others wait for it too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), g.patience)
		defer cancel()
		if !g.queue.enter(ctx, from, user) {
			return nil, errBusy
		}
		defer g.queue.leave()
		right := ""
		yielding(func() { right = matching(hashes, password) })
		if right == "" {
			return nil, errRefused
		}
		g.cache.add(g.cache.key(user, password, right))
		return nil, nil
	})
	select {
	case result := <-done:
		return result.Err
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// matching is that of the hashes which the password has, "" for none.
func matching(hashes []string, password string) string {
	for _, hash := range hashes {
		if htpasswd.Verify(hash, password) {
			return hash
		}
	}
	return ""
}

// refuse answers as distribution does, so that clients ask for a login. Without a
// detail Docker does not know the error again, and tries a push for most of a minute.
func (g *gate) refuse(w http.ResponseWriter, realm string) {
	g.dress(w)
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnauthorized.WithDetail([]auth.Access{}))
}

// putOff never says 401 or 429: Docker tries neither again.
func (g *gate) putOff(w http.ResponseWriter) {
	g.dress(w)
	w.Header().Set("Retry-After", "5")
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnavailable.WithMessage("the registry is busy checking passwords: try again"))
}

func (g *gate) dress(w http.ResponseWriter) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	for name, values := range g.headers {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
}
