package scenario

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/statedir"
)

// processPortFree refuses a port that another program listens on, before
// anything is touched. Our own registry may be that program: what it listens on is
// in its config.yml, if nobody has changed that. own says how it fares; it may
// come to be at any time, started by a command that was killed.
func processPortFree(ctx context.Context, dir statedir.Dir, address string, own func(context.Context) (engine.Status, error)) error {
	now, err := own(ctx)
	if err != nil {
		return err
	}
	if now.State == Running && address == listensOn(dir) {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		holder := engine.PortHolder(address)
		if now, err = own(ctx); err != nil {
			return err
		}
		switch {
		case now.State == Running && strings.HasPrefix(holder, now.Detail+" "): // a pid
			return nil
		case holder == "":
			holder = "another program"
		}
		return fault.Fail(engine.FreeThePort, "port %s is held by %s", strings.TrimPrefix(address, ":"), holder)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault.Usage("--bind takes an address of this machine; `ip addr` lists them", "%s is not an address of this machine", address)
	case errors.Is(err, os.ErrPermission):
		return fault.Fail("run regctl as root, or choose a --port from 1024 on", "only root may listen on %s", address)
	}
	return err
}

func listensOn(dir statedir.Dir) string {
	var config struct {
		HTTP struct {
			Addr string `yaml:"addr"`
		} `yaml:"http"`
	}
	data, err := os.ReadFile(dir.ServeConfig())
	if err != nil || yaml.Unmarshal(data, &config) != nil {
		return ""
	}
	return config.HTTP.Addr
}
