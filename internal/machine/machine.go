// Package machine finds out what the machine that regctl runs on is called and
// where it is reached.
package machine

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// lookupTime is how long a resolver may take to tell the machine's full name.
const lookupTime = time.Second

// Names lists what the machine is called, the name that clients should use first:
// the full name if it has a domain, else the host name; then localhost, 127.0.0.1,
// ::1 and the addresses of Addresses. It takes a second at most, also where no
// resolver answers.
func Names(ctx context.Context) ([]string, error) {
	short, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	short = strings.ToLower(strings.TrimSuffix(short, "."))
	names := []string{fullName(ctx, short), short, "localhost", "127.0.0.1", "::1"}
	names = append(names, Addresses()...)
	var unique []string
	for _, name := range names {
		if name != "" && !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique, nil
}

// fullName is what hostname -f says: the canonical name of the host name.
func fullName(ctx context.Context, short string) string {
	if strings.Contains(short, ".") {
		return short
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, short)
	if err != nil {
		return ""
	}
	for _, address := range addresses {
		found, err := net.DefaultResolver.LookupAddr(ctx, address)
		if err != nil {
			continue
		}
		for _, name := range found {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if strings.HasPrefix(name, short+".") && !strings.HasSuffix(name, ".localdomain") {
				return name
			}
		}
	}
	return ""
}

// bridges begin the names of interfaces that belong to containers and virtual
// machines, not to the network that clients are on.
var bridges = []string{"docker", "br-", "veth", "cni", "virbr", "lxc"}

// Addresses lists the global addresses of the interfaces that are up, bridges of
// containers and virtual machines left out.
func Addresses() []string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var list []string
	for _, i := range interfaces {
		bridge := slices.ContainsFunc(bridges, func(b string) bool { return strings.HasPrefix(i.Name, b) })
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || bridge {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				list = append(list, n.IP.String())
			}
		}
	}
	return list
}
