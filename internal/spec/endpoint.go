package spec

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Default is a registry as it is when nothing is said about it. Its hosts and
// its runtime are not settled yet: that takes a look at the machine.
func Default() Spec {
	return Spec{
		Version: Version,
		Name:    DefaultName,
		Port:    DefaultPort,
		TLS:     TLS{Mode: TLSSelfSigned, CertDays: 365, CADays: 3650, KeyType: "ecdsa256"},
		Auth:    Auth{Mode: AuthNone},
		Proxy:   Proxy{Kind: ProxyNone},
		Storage: Storage{Driver: StorageFilesystem},
	}
}

// Endpoint is the registry's URL for clients, the port left out when it is the
// scheme's own.
func (s Spec) Endpoint() string {
	return s.scheme() + "://" + s.Address()
}

// Address is the registry as an image reference names it: HOST:PORT, an IPv6
// address in brackets, the port left out when it is the scheme's own.
func (s Spec) Address() string {
	host := s.First()
	if s.ownPort() {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(s.Port))
}

// First is the host that clients use; "" while the hosts are not settled.
func (s Spec) First() string {
	if len(s.Hosts) == 0 {
		return ""
	}
	return s.Hosts[0]
}

func (s Spec) scheme() string {
	if s.TLS.Mode == TLSNone {
		return "http"
	}
	return "https"
}

func (s Spec) ownPort() bool {
	return s.scheme() == "https" && s.Port == 443 || s.scheme() == "http" && s.Port == 80
}

// Warnings are things that are allowed and that people should know before they
// rely on them, a sentence each.
func (s Spec) Warnings() []string {
	var all []string
	warn := func(text string) { all = append(all, text) }
	first := s.First()
	addr, err := netip.ParseAddr(first)
	switch {
	case err == nil && addr.Is6():
		warn("older Docker cannot reference an IPv6 address such as " + s.Address() + ": give a DNS name as the first --host if clients have one")
	case first == "localhost" || err == nil && addr.IsLoopback():
		warn("no other machine reaches the registry as " + first + ", and Docker takes it for insecure: give a name of this machine as the first --host if others are to use it")
	}
	if s.TLS.Mode == TLSNone {
		warn("plain HTTP: images and passwords cross the network in clear, and each client must list " + s.Address() + " as an insecure registry")
	}
	if text := s.Storage.warning(); text != "" {
		warn(text)
	}
	return append(all, s.mirrorWarnings()...)
}
