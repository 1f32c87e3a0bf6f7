package embeddedregistry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/sirupsen/logrus"
)

// How often the upstream is asked whether it is there, by requests that would ask it
// for something anyway, and how long it may take to say so.
const (
	askAgainUp   = 10 * time.Second
	askAgainDown = 2 * time.Second
	askPatience  = 3 * time.Second
)

// mirror serves proxy.remoteurl's images. NewApp asks a mirror's upstream at once,
// gives up when it does not answer, and for good has no credential for it when it
// answers with an error. So the app that fetches is made when the upstream is there,
// and beside it there is one that has nothing but what is stored: it serves while
// the upstream is away, also where that is a network that answers nothing at all and
// each request would hang on it for half a minute.
type mirror struct {
	config *configuration.Configuration
	stored *apps // never asks the upstream
	ask    *http.Client
	make   func() (*apps, error)

	mu      sync.Mutex // one asks at a time, the others want to know what it hears
	asked   time.Time
	told    bool // that it is away
	closed  bool
	fetcher *apps                // nil until the upstream answered once
	now     atomic.Pointer[apps] // fetcher, or nil while the upstream is away
}

// newMirror is nil for a registry that is no mirror. app is the one that has what is
// stored, in any case.
func newMirror(ctx context.Context, config *configuration.Configuration) (m *mirror, app *apps, err error) {
	if config.Proxy.RemoteURL == "" {
		app, err = newApps(ctx, config)
		return nil, app, err
	}
	config = uncached(config)
	stored := storedOnly(config)
	if app, err = newApps(ctx, stored); err != nil {
		return nil, nil, err
	}
	m = &mirror{
		config: config, stored: app, ask: &http.Client{Timeout: askPatience},
		make: func() (*apps, error) { return newApps(ctx, copied(config)) },
	}
	go m.look() // what is stored expires from now on, whether or not somebody asks
	return m, app, nil
}

// renew has nothing to do: neither app remembers which blobs there are.
func (m *mirror) renew() error { return nil }

// pause is for both apps, of which one remembers. The garbage of a mirror is collected
// while it is stopped: that the one which fetches may be made later does no harm.
func (m *mirror) pause() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fetcher != nil {
		return m.fetcher.pause()
	}
	return nil
}

func (m *mirror) filling() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fetcher != nil {
		return m.fetcher.filling()
	}
	return 0
}

// Shutdown ends both apps.
func (m *mirror) Shutdown() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	err := m.stored.Shutdown()
	if m.fetcher != nil {
		err = errors.Join(err, m.fetcher.Shutdown())
	}
	return err
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		m.refuse(w)
		return
	}
	// A pull begins with a manifest; what follows belongs to it.
	if strings.Contains(r.URL.Path, "/manifests/") || strings.HasSuffix(r.URL.Path, "/tags/list") {
		m.look()
	}
	switch app := m.now.Load(); {
	case app != nil:
		app.ServeHTTP(w, r)
	case strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/"):
		m.stored.ServeHTTP(&unlessMissing{ResponseWriter: w, instead: m.unavailable}, r)
	default:
		m.stored.ServeHTTP(w, r)
	}
}

// look finds out whether the upstream is there, unless that was done a moment ago.
func (m *mirror) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := askAgainDown
	if m.now.Load() != nil {
		again = askAgainUp
	}
	if m.closed || time.Since(m.asked) < again {
		return
	}
	err := m.answers()
	if err == nil && m.fetcher == nil {
		m.fetcher, err = m.make()
	}
	m.asked = time.Now()
	switch {
	case err == nil:
		if m.told {
			logrus.Warnf("mirror: %s answers again", m.upstream())
		}
		m.told = false
		m.now.Store(m.fetcher)
		return
	case !m.told:
		logrus.Warnf("mirror: only what is stored is served while the upstream is away: %v", err)
	}
	m.told = true
	// Images in memory are in that of the app that fetched them.
	if m.config.Storage.Type() != "inmemory" {
		m.now.Store(nil)
	}
}

// answers asks as distribution does. Anything but these two answers would have it
// believe that the upstream wants no credentials.
func (m *mirror) answers() error {
	resp, err := m.ask.Get(m.config.Proxy.RemoteURL + "/v2/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%s/v2/ answers %s", m.upstream(), resp.Status)
	}
	return nil
}

func (m *mirror) upstream() string {
	u, err := url.Parse(m.config.Proxy.RemoteURL)
	if err != nil {
		return "the upstream"
	}
	return u.Redacted()
}

func (m *mirror) refuse(w http.ResponseWriter) {
	m.dress(w)
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnsupported.
		WithMessage("this registry is a mirror of "+m.upstream()+", which takes no pushes and deletes nothing: push to the upstream itself"))
}

// unavailable is what is answered for what is not stored: a 404 would be taken for
// the upstream's own word that there is no such image.
func (m *mirror) unavailable(w http.ResponseWriter) {
	m.dress(w)
	w.Header().Set("Retry-After", "5")
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnavailable.
		WithMessage("not stored in this mirror, and its upstream "+m.upstream()+" does not answer"))
}

func (m *mirror) dress(w http.ResponseWriter) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	for name, values := range m.config.HTTP.Headers {
		w.Header()[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// unlessMissing answers something else in place of a 404.
type unlessMissing struct {
	http.ResponseWriter
	instead func(http.ResponseWriter)
	missing bool
}

func (u *unlessMissing) WriteHeader(status int) {
	if status != http.StatusNotFound {
		u.ResponseWriter.WriteHeader(status)
		return
	}
	u.missing = true
	u.Header().Del("Content-Length")
	u.instead(u.ResponseWriter)
}

func (u *unlessMissing) Write(p []byte) (int, error) {
	if u.missing {
		return len(p), nil
	}
	return u.ResponseWriter.Write(p)
}

// ReadFrom leaves the copying of a stored file to the kernel.
func (u *unlessMissing) ReadFrom(from io.Reader) (int64, error) {
	if u.missing {
		return io.Copy(io.Discard, from)
	}
	return io.Copy(u.ResponseWriter, from)
}

// Unwrap is for http.ResponseController.
func (u *unlessMissing) Unwrap() http.ResponseWriter { return u.ResponseWriter }
