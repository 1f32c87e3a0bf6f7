package embeddedregistry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/health"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/internal/fault"
)

// newHandler puts around the app what NewRegistry would: a 200 for "/", health,
// panics and the access log. None of it wraps the ResponseWriter but the access log.
// inner is the app, or what stands before it.
func newHandler(app *apps, inner serving, gate *gate, ctl string, log io.Writer) (http.Handler, error) {
	config := app.Config
	var uploads http.Handler = inner
	if !IsRemote(config.Storage.Type()) {
		uploads = wideUploads(inner)
	}
	h := alive(gate.guard(batched(uploads)))
	if ctl != "" {
		canary, err := newCanary(ctl, config, gate)
		if err != nil {
			return nil, err
		}
		h = newControl(ctl, inner).guard(canary.serve(h))
	}
	h = gate.givesTokens(h)
	h, err := withHealth(app.App, h)
	if err != nil {
		return nil, err
	}
	h = recovered(h)
	if !config.Log.AccessLog.Disabled {
		h = accessLogged(h, log)
	}
	return h, nil
}

// alive answers "/" with an empty 200, which load balancers ask for.
func alive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Cache-Control", "no-cache")
			w.WriteHeader(http.StatusOK)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withHealth answers 503 to everything while a check of health.* fails. The checks
// are distribution's, in a registry of their own: its default one also serves
// switches on http.DefaultServeMux, and admits one app a process.
func withHealth(app *handlers.App, next http.Handler) (h http.Handler, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Usage("", "health: %v", p)
		}
	}()
	c := app.Config.Health
	if !c.StorageDriver.Enabled && len(c.FileCheckers)+len(c.HTTPCheckers)+len(c.TCPCheckers) == 0 {
		return next, nil
	}
	checks := health.NewRegistry()
	app.RegisterHealthChecks(checks)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failed := checks.CheckStatus(r.Context())
		if len(failed) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		var names []string
		for name := range failed {
			names = append(names, name)
		}
		slices.Sort(names)
		_ = errcode.ServeJSON(w, errcode.ErrorCodeUnavailable.WithDetail("health check failed: "+strings.Join(names, ", ")))
	}), nil
}

// recovered logs a handler's panic, at the level that mail hooks wait for, and cuts
// the response off: whatever was sent of it must not pass for all.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				logPanic(fmt.Sprintf("panic serving %s %s: %v\n%s", r.Method, r.URL.Path, p, debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

func logPanic(message string) {
	defer func() { _ = recover() }() // logrus panics at this level when it has logged
	logrus.StandardLogger().Log(logrus.PanicLevel, message)
}
