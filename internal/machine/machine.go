// Package machine finds out what the machine that regctl runs on is called.
package machine

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/spec"
)

// patience is how long the resolver may take in all: a machine without DNS must
// not hold up init.
const patience = time.Second

// Names are the names and addresses under which this machine may be reached, in
// the form that spec.NormalizeHosts gives them. The first is the one for clients:
// the fully qualified name where there is one, else the host name, else the first
// global address. Then come the host name, localhost, 127.0.0.1, ::1 and the
// global addresses (private ones included) of interfaces that are up and do not
// belong to containers or virtual machines.
//
// It never fails for want of DNS and takes about a second at most.
func Names(ctx context.Context) ([]string, error) {
	return source{os.Hostname, net.DefaultResolver.LookupCNAME, interfaces}.names(ctx)
}

// Addresses are the global addresses that Names lists; none when the interfaces
// cannot be listed.
func Addresses() []string {
	devices, err := interfaces()
	if err != nil {
		return nil
	}
	return global(devices)
}

// source is where names come from.
type source struct {
	hostname   func() (string, error)
	canonical  func(ctx context.Context, host string) (string, error)
	interfaces func() ([]device, error)
}

// device is a network interface.
type device struct {
	name  string
	up    bool
	addrs []net.Addr
}

func (s source) names(ctx context.Context) ([]string, error) {
	devices, err := s.interfaces()
	if err != nil {
		return nil, err
	}
	addrs := global(devices)
	names := s.hostNames(ctx)
	if len(names) == 0 && len(addrs) > 0 {
		names = []string{addrs[0]}
	}
	names = append(names, "localhost", "127.0.0.1", "::1")
	return spec.NormalizeHosts(append(names, addrs...))
}

// hostNames are the fully qualified name and the host name, as far as they exist
// and a certificate can hold them.
func (s source) hostNames(ctx context.Context) []string {
	host, err := s.hostname()
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range []string{s.qualified(ctx, host), host} {
		if normal, err := spec.NormalizeHosts([]string{name}); err == nil && !local(normal[0]) {
			names = append(names, normal[0])
		}
	}
	return names
}

// qualified is what hostname -f prints: the canonical name that /etc/hosts or the
// resolver has for the host name; "" when they have none with a dot.
func (s source) qualified(ctx context.Context, host string) string {
	if strings.Contains(strings.TrimSuffix(host, "."), ".") {
		return host
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name, err := s.canonical(ctx, host)
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") {
		return ""
	}
	return name
}

// local reports a name that every machine has, such as localhost.localdomain.
func local(name string) bool { return name == "localhost" || strings.HasPrefix(name, "localhost.") }

// bridges are what the names of interfaces begin with whose addresses mean
// nothing outside this machine.
var bridges = [...]string{"docker", "br-", "veth", "cni", "virbr", "lxc"}

func global(devices []device) []string {
	var out []string
	for _, d := range devices {
		if !d.up || isBridge(d.name) {
			continue
		}
		for _, a := range d.addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().IsGlobalUnicast() {
				out = append(out, prefix.Addr().Unmap().String())
			}
		}
	}
	return out
}

func isBridge(name string) bool {
	for _, b := range bridges {
		if strings.HasPrefix(name, b) {
			return true
		}
	}
	return false
}

// interfaces lists this machine's. One that goes away meanwhile has no addresses.
func interfaces() ([]device, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var devices []device
	for _, i := range all {
		addrs, _ := i.Addrs()
		devices = append(devices, device{i.Name, i.Flags&net.FlagUp != 0, addrs})
	}
	return devices, nil
}
