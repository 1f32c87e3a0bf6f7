package scenario

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/spec"
)

// serveID is the unprivileged user and group that a registry runs as when root
// sets it up.
const serveID = image.User

// drain is how long a registry may take to finish its requests when it stops.
const drain = 10 * time.Second

// processSite runs the registry as a process of this machine.
func processSite(r *Registry, p Place) (*site, error) {
	options, err := processOptions(r, p)
	if err != nil {
		return nil, err
	}
	renewals := renewalOptions(r, p, "", options.Supervision)
	if r.Spec.TLS.Mode != spec.TLSNone {
		options.CronLines = renewals.CronLines()
	}
	steps, err := engine.ProcessSteps(options)
	if err != nil {
		return nil, err
	}
	want, err := options.Want()
	if err != nil {
		return nil, err
	}
	renewing, err := renewalSteps(r, renewals)
	if err != nil {
		return nil, err
	}
	p.Runtime, p.Runs = join(steps, renewing), options.Ref()
	handlers := processHandlers()
	handlers[engine.KindBinary] = engine.Binary{Source: options.Source}
	return &site{
		host:    host.NewLocal(withOurs(handlers)),
		place:   p,
		runtime: options,
		runs:    options.Ref(), want: want,
		own: r.keptProgram() == "" || r.sameProgram(),
		isRunning: func(f host.Fact) bool {
			var unit struct{ Active bool }
			return !options.Systemd || json.Unmarshal(f.Data, &unit) == nil && unit.Active
		},
		preflight: func(ctx context.Context) error {
			if err := r.redisPreflight(ctx, p); err != nil {
				return err
			}
			if err := r.proxyPreflight(ctx, p); err != nil || r.Spec.Socket() || len(p.Withdrawn) > 0 {
				return err
			}
			return processPortFree(ctx, r.Dir, p.Addr, options.Inspect)
		},
	}, nil
}

func processOptions(r *Registry, p Place) (engine.ProcessOptions, error) {
	exe, err := r.program()
	socket := ""
	if r.Spec.Socket() {
		socket = socketDir(r.Spec)
	}
	return engine.ProcessOptions{
		Socket: socket,
		Name:   r.Spec.Name, Dir: r.Dir, UID: p.UID, GID: p.GID, Drain: drain, Source: exe,
		Data:        p.DataAt,
		RestartIf:   restartFiles(r.Dir, false),
		Again:       r.cutShort(),
		Supervision: engine.FindSupervision(),
	}, err
}

func processHandlers() map[host.Kind]host.Handler {
	return map[host.Kind]host.Handler{
		engine.KindProcess: engine.Processes{Drain: drain},
		engine.KindBinary:  engine.Binary{},
		engine.KindUnit:    engine.Systemd{},
		engine.KindCrontab: engine.Crontab{},
		engine.KindReady:   engine.Ready{},
		engine.KindServed:  engine.Served{},
		engine.KindTimer:   engine.Timers{},
		engine.KindLoop:    engine.Processes{Drain: drain, Loop: true},
	}
}

// processPlace is where a process sees its files: where they are.
func processPlace(r *Registry, s spec.Spec) Place {
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = serveID, serveID
	}
	p := Place{
		Dir: r.Dir, UID: uid, GID: gid, Now: time.Now(), Flavour: distconfig.Embedded,
		ServeAt: r.Dir.Serve(),
	}
	p.listening(s, net.JoinHostPort(s.Bind, strconv.Itoa(s.Port)), socketDir(s))
	if s.Storage.Driver == spec.StorageFilesystem {
		p.DataAt = r.Dir.Data()
	}
	return p
}
