// Package trust says what makes a client trust a registry: which files, in which
// store, of which runtime, and what must be told to take notice. There is one file
// per store. Everything here is pure: from facts about the registry and the client
// come steps, or an error before anything is touched.
package trust

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/step"
)

// Registry is what the stores must know of a registry.
type Registry struct {
	Host  string // a name or an IP address, without brackets
	Port  int
	Plain bool   // plain HTTP
	CA    []byte // PEM, one certificate or, while a CA is being replaced, two; empty where the public CAs vouch
	// MirrorOf is the URL of the registry that it mirrors; "" for none.
	MirrorOf string
}

// Address is the registry as image references name it: HOST:PORT, the port left
// out when it is the scheme's own, an IPv6 address in brackets.
func (r Registry) Address() string {
	if !r.ownPort() {
		return net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	}
	if strings.Contains(r.Host, ":") {
		return "[" + r.Host + "]"
	}
	return r.Host
}

func (r Registry) ownPort() bool { return r.Plain && r.Port == 80 || !r.Plain && r.Port == 443 }

// names are the folders of certs.d that clients look in: on 443 an image may be
// named with the port or without.
func (r Registry) names() []string {
	names := []string{r.Address()}
	if r.ownPort() && !r.Plain {
		names = append(names, net.JoinHostPort(r.Host, strconv.Itoa(r.Port)))
	}
	return names
}

// URL is the registry's endpoint.
func (r Registry) URL() string { return word(r.Plain, "http", "https") + "://" + r.Address() }

// fileName is the registry's name in the name of a file that is its own.
func (r Registry) fileName() string {
	plain := func(c rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", c) {
			return c
		}
		return '_'
	}
	return "regctl-" + strings.Map(plain, strings.Trim(net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), "["))
}

// Upstream is the registry mirrored, as image references name it.
func (r Registry) Upstream() string {
	u, err := url.Parse(r.MirrorOf)
	if err != nil {
		return ""
	}
	switch u.Host {
	case "registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "hub.docker.com":
		return "docker.io"
	}
	return u.Host
}

// Store names a trust store, as --store does.
type Store string

// The stores.
const (
	Docker     Store = "docker"
	Rootless   Store = "docker-rootless"
	Podman     Store = "podman"
	Containerd Store = "containerd"
	K3s        Store = "k3s"
	BuildKit   Store = "buildkit"
	OS         Store = "os"
	Insecure   Store = "insecure"
	Legacy     Store = "legacy"
	Mirror     Store = "mirror"
	MapHost    Store = "map-host" // --map-host, not a --store
	LoginStore Store = "login"    // --login, not a --store
)

// Effect says when a store takes effect.
type Effect string

// The effects.
const (
	Now     Effect = "now"
	Reload  Effect = "reload"  // regctl sends the signal
	Restart Effect = "restart" // regctl restarts it, with --restart alone
)

// Options are the operator's wishes that matter here.
type Options struct {
	Restart  bool
	AsMirror bool
	MapHost  string // IP address; "" for none
	// Beside leaves out the runtimes that hold but one form of a registry, TLS or plain
	// HTTP: the others are given the one that is to come beside the one there is.
	Beside bool
	// Record says that the stores named are those of the client's record: where the public
	// CAs vouch for the registry by now, they are proven and nothing is placed in them.
	Record bool
	// Login is stored for Docker's client and podman; nil for none. The client must
	// have been seen with LoginReads too.
	Login *Login
}

// Placement is one store on one client.
type Placement struct {
	Store    Store
	Path     string // the file that matters most; "" where nothing has to be placed
	Effect   Effect
	Pending  string // what is left for people to do, such as "restart dockerd"
	Warnings []string
	Steps    []step.Step
}
