// Package embeddedregistry is distribution v3 served by regctl's own process.
//
// It runs handlers.NewApp under an http.Server of ours rather than
// registry.NewRegistry, which works once a process, owns its signals and loads
// TLS once. What NewApp leaves to NewRegistry (listener, TLS, HTTP/2, drain, log,
// health) is done here; keys.go says key by key who honours it, and a key that
// nobody here honours is refused by name.
//
// Five things belong to the process and not to one Serve: distribution logs to
// logrus' standard logger, which Serve sets up from log.* (the last Serve wins; when
// any of them returns, output is stderr again); GOGC, see tuneGC; GOMAXPROCS, see
// bcryptSlots; whom http.DefaultTransport trusts, see trustUpstream; and the two middlewares that quiet.go and disk.go register. Serve may
// run again, or twice at once. Neither the REGISTRY_* variables nor OTEL_* nor
// systemd's LISTEN_FDS change anything.
package embeddedregistry

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"
)

// defaultDrain is how long requests may take to finish when http.draintimeout says
// nothing; docker stop kills after 10 s.
const defaultDrain = 8 * time.Second

// Options says what to serve and where.
type Options struct {
	// ConfigPath is distribution's config.yml. regctl-serve.yaml and ctl/ are looked
	// for beside it; both may be absent.
	ConfigPath string
	// ConfigData is used instead of what ConfigPath holds, if not nil.
	ConfigData []byte
	// Listener is served, and closed in the end, instead of one made from http.net
	// and http.addr.
	Listener net.Listener
	// Ready is called once, when the listener is open and requests are answered.
	Ready func(net.Addr)
	// Log takes the log and the access log; nil means stderr. It sees one Write at a time.
	Log io.Writer
	// Rewrite maps every file path that the configuration names; nil leaves them.
	Rewrite func(path string) string
}

// Serve runs the registry until ctx is done, then stops accepting, gives requests
// http.draintimeout (8 s if unset) to finish and returns nil. A bad configuration
// is an error that is the user's (fault.IsUsage), and nothing was started.
func Serve(ctx context.Context, o Options) error {
	if o.Listener != nil {
		defer o.Listener.Close()
	}
	config, extra, err := load(o)
	if err != nil {
		return err
	}
	logOut := &lockedWriter{w: o.Log}
	if o.Log == nil {
		logOut.w = os.Stderr
	}
	setUpLog(config.Log, logOut)
	defer leaveLog()
	warnOfEnvironment(os.Environ())
	ensureSecret(config)
	tuneGC()

	tlsConfig, err := newTLS(config.HTTP.TLS, ctlOf(o.ConfigPath))
	if err != nil {
		return err
	}
	accounts, err := newAccounts(config, o.ConfigPath, extra)
	if err != nil {
		return err
	}
	if extra.MirrorCA != "" {
		if err := trustUpstream(filepath.Join(filepath.Dir(o.ConfigPath), extra.MirrorCA)); err != nil {
			return err
		}
	}
	mirror, app, err := newMirror(ctx, config)
	if err != nil {
		return err
	}
	inner := serving(app)
	if mirror != nil {
		inner = mirror
	}
	handler, err := newHandler(app, inner, newGate(accounts, config), ctlOf(o.ConfigPath), logOut)
	if err != nil {
		return errors.Join(err, inner.Shutdown())
	}
	ln := o.Listener
	if ln == nil {
		if ln, err = listen(ctx, config.HTTP.Net, config.HTTP.Addr); err != nil {
			return errors.Join(err, inner.Shutdown())
		}
		noteShared(config)
	}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConfig,
		Protocols:         protocols(config.HTTP, extra),
		ConnContext:       withBatch,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(errorLog{}, "", 0),
	}
	err = run(ctx, server, ln, drainTimeout(config), o.Ready)
	// App.Shutdown does not wait for requests, so it comes after the drain.
	return errors.Join(err, inner.Shutdown())
}

// run serves ln until ctx is done or serving fails, and drains.
func run(ctx context.Context, server *http.Server, ln net.Listener, patience time.Duration, ready func(net.Addr)) error {
	in := &newcomers{}
	in.watch(server)
	served := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			served <- server.ServeTLS(batchListener{ln}, "", "")
		} else {
			served <- server.Serve(ln)
		}
	}()
	if ready != nil {
		ready(ln.Addr())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	logrus.Infof("draining connections for up to %s", patience)
	drain(ctx, server, ln, in, patience)
	if err := <-served; !ended(err) {
		return err
	}
	return nil
}

// ctlOf is where a registry with that config.yml is told things while it runs.
func ctlOf(configPath string) string {
	if configPath == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(configPath), "ctl")
}

func drainTimeout(config *configuration.Configuration) time.Duration {
	if config.HTTP.DrainTimeout > 0 {
		return config.HTTP.DrainTimeout
	}
	return defaultDrain
}

// protocols offers HTTP/1.1, and HTTP/2 where it was asked for: Go's HTTP/2 halves
// the throughput of big blobs, and dockerd does not ask for it.
func protocols(c configuration.HTTP, e extra) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(e.HTTP2 && !c.HTTP2.Disabled)
	p.SetUnencryptedHTTP2(c.H2C.Enabled)
	return p
}
