package engine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/docker/docker/api/types/container"

	"github.com/regctl/regctl/internal/fault"
)

// CheckPorts fails if a port that c publishes is held by another container or by
// a process of this machine, and says by which. What c itself holds, if it is
// running by now, is not counted.
func (d *Docker) CheckPorts(ctx context.Context, c Container) error {
	now, err := Containers{d, c.Dir}.find(ctx, c.Name)
	if err != nil {
		return err
	}
	var own []Port
	if now != nil && now.running && now.foreign == "" {
		own = now.spec.Publish
	}
	return d.checkPorts(ctx, c, own)
}

// checkPorts looks at the ports of c but those that are its own already.
func (d *Docker) checkPorts(ctx context.Context, c Container, own []Port) error {
	running, err := d.api.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return err
	}
	for _, p := range c.Publish {
		// One that it holds at another address only the engine can try, once it is free.
		if slices.ContainsFunc(own, func(o Port) bool { return o.Host == p.Host }) {
			continue
		}
		for _, other := range running {
			if name := containerName(other); name != c.Name && slices.ContainsFunc(other.Ports, p.clashes) {
				return portTaken(p, "container "+name+" (image "+other.Image+")")
			}
		}
		if err := p.free(ctx); err != nil {
			return err
		}
	}
	return nil
}

func containerName(c container.Summary) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return strings.TrimPrefix(c.Names[0], "/")
}

func portTaken(p Port, holder string) error {
	if holder == "" {
		holder = "another program"
	}
	return fault.Fail(FreeThePort, "port %d is held by %s", p.Host, holder)
}

func (p Port) clashes(other container.Port) bool {
	if other.PublicPort != p.Host || other.Type != "tcp" {
		return false
	}
	ip, err := netip.ParseAddr(other.IP)
	return err != nil || ip.IsUnspecified() || !p.IP.IsValid() || p.IP.IsUnspecified() || ip == p.IP
}

// free tries to listen, as the engine is about to. Where we may not, it will tell.
func (p Port) free(ctx context.Context) error {
	addr := net.JoinHostPort("", strconv.Itoa(int(p.Host)))
	if p.IP.IsValid() {
		addr = netip.AddrPortFrom(p.IP, p.Host).String()
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return portTaken(p, PortHolder(addr))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault.Usage("--bind takes an address of this machine; `ip addr` lists them", "%s is not an address of this machine", p.IP)
	}
	return nil
}
