package scenario

import (
	"context"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
)

const (
	// socketTop holds a folder a registry, outside every DIR: what the proxy may read
	// is not to lie beside keys. It is no tmpfs, since the engine refuses to start a
	// container after a reboot whose mounted folder has gone.
	socketTop       = "/var/lib/regctl-proxy"
	socketName      = "registry.sock"
	containerSocket = "/run/regctl"
)

// front is the proxy of this machine as it was found.
type front struct {
	server proxy.Server
	pair   *pair // what it serves, as the plan has it
	unmade pair  // stands for one that is still to be made; it serves nothing
}

func socketDir(s spec.Spec) string { return filepath.Join(socketTop, s.Name) }

func socketPath(s spec.Spec) string { return filepath.Join(socketDir(s), socketName) }

// listening says where the registry listens: by itself at addr, for a proxy on a
// socket, whose folder it sees at socketDir.
func (p *Place) listening(s spec.Spec, addr, socketDir string) {
	p.Addr = addr
	if s.Socket() {
		p.Net, p.Addr = "unix", path.Join(socketDir, socketName)
	}
}

// behind is the registry itself, past its proxy.
func behind(s spec.Spec) engine.Endpoint {
	switch {
	case !s.Proxied():
		return ownEndpoint(s)
	case s.Socket():
		return engine.Endpoint{URL: "http://" + s.Name, Addr: socketPath(s)}
	}
	if !s.ProxyOnHost() {
		return ownEndpoint(s) // nobody but its proxy reaches it
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Proxy.BackendPort()))
	return engine.Endpoint{URL: "http://" + addr, Addr: addr}
}

// findFront finds the proxy that is wanted, and what is left of one that is not.
func (r *Registry) findFront(ctx context.Context, p *Place) (err error) {
	defer func() { p.Withdrawn = r.withdrawn(*p) }()
	if !r.Spec.Proxied() || r.aside {
		return nil
	}
	if ourUID() != 0 {
		return fault.Fail("run regctl as root", "only root can put %s in front", r.Spec.Proxy.Kind)
	}
	p.Front = &front{pair: new(pair)}
	if r.Spec.ProxyOnHost() {
		p.Front.server, err = proxy.Find(ctx, proxy.Kind(r.Spec.Proxy.Kind))
	}
	if err != nil {
		return err
	}
	p.Front.unmade.crt, p.Front.unmade.key, err = pki.NewCA(pki.Config{
		Name: r.Spec.Name, Hosts: r.Spec.Hosts, KeyType: "ecdsa256", CertDays: 1, CADays: 1, Now: p.Now,
	})
	return err
}

// findFrontFor is findFront where users alone change, which concerns a proxy only if it
// asks for the passwords.
func (r *Registry) findFrontFor(ctx context.Context, p *Place) error {
	if !r.Spec.ProxyAsks() {
		return nil
	}
	return r.findFront(ctx, p)
}

// proxyPreflight refuses a site that could not be served. Of a registry that moves to
// where it, or its other proxy, listens still, the reload will tell.
func (r *Registry) proxyPreflight(ctx context.Context, p Place) error {
	if r.state.Phase == "" && r.Spec.Socket() && behind(r.Spec).Probe(ctx) == nil {
		return fault.Fail("choose another --name", "another registry that is called %s answers on %s", r.Spec.Name, socketPath(r.Spec))
	}
	if !r.Spec.ProxyOnHost() || r.moves(ctx) {
		return nil
	}
	return proxy.Preflight(ctx, p.Front.server, p.front(r.Spec, p.Front.unmade))
}

// moves reports whether the port is held by the registry as it is still, and not by a
// site of the proxy that is wanted.
func (r *Registry) moves(ctx context.Context) bool {
	sites := r.siteReceipts()
	if slices.ContainsFunc(sites, func(known host.Receipt) bool { return known.Kind == siteKind(r.Spec) }) {
		return false
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ownEndpoint(r.Spec).Addr)
	if err == nil {
		_ = l.Close()
	}
	return err != nil && (len(sites) > 0 || listensOn(r.Dir) != "") && mayBeOurs(engine.PortHolder(ownEndpoint(r.Spec).Addr))
}

// mayBeOurs reports whether a registry, or a proxy for it, may be who holds a port.
func mayBeOurs(holder string) bool {
	for _, program := range []string{"(regctl)", "(docker-proxy)", "(nginx)", "(apache2)", "(httpd)"} {
		if strings.Contains(holder, program) {
			return true
		}
	}
	return holder == "" // Docker without docker-proxy
}

func isSite(kind host.Kind) bool {
	return kind == proxy.KindNginxSite || kind == proxy.KindApacheSite
}

func (r *Registry) siteReceipts() []host.Receipt {
	return slices.DeleteFunc(slices.Clone(r.state.Receipts), func(known host.Receipt) bool { return !isSite(known.Kind) })
}

// siteKind is the kind of site that is wanted; "" for none of this machine's.
func siteKind(s spec.Spec) host.Kind {
	switch {
	case !s.ProxyOnHost():
		return ""
	case s.Proxy.Kind == spec.ProxyApache:
		return proxy.KindApacheSite
	}
	return proxy.KindNginxSite
}

// front is the site as the proxy is to serve it, with that pair of PEM files.
func (p Place) front(s spec.Spec, use pair) proxy.Site {
	site := proxy.Site{
		Name: s.Name, Hosts: s.Hosts, Realm: s.Auth.RealmOrDefault(),
		Listen: []string{strconv.Itoa(s.Port)}, Upstreams: upstreams(s),
	}
	if s.Bind != "" {
		site.Listen = []string{net.JoinHostPort(s.Bind, strconv.Itoa(s.Port))}
	}
	if s.TLS.Mode != spec.TLSNone {
		site.Cert, site.Key = use.crt, use.key
	}
	if s.ProxyAsks() && s.ProxyOnHost() && p.Front != nil {
		site.UsersFile = p.Front.server.UsersPath(s.Name)
		if s.Proxy.HasGroups() {
			site.GroupsFile = p.Front.server.GroupsPath(s.Name)
		}
	}
	if webroot := acmeWebroot(s); webroot != "" {
		site.Webroot = webroot
		if s.TLS.ChallengeAddr != "" {
			site.PlainListen = []string{s.TLS.ChallengeAddr}
		}
	}
	return site
}

// acmeWebroot is the folder from which the proxy answers http-01; "" where it does not.
func acmeWebroot(s spec.Spec) string {
	if !s.ProxyOnHost() || s.TLS.Mode != spec.TLSLetsEncrypt || s.TLS.Challenge != "" && s.TLS.Challenge != spec.ChallengeHTTP {
		return ""
	}
	return filepath.Join(acmeTop, s.Name)
}

// acmeTop holds the answers to challenges, readable for all.
const acmeTop = "/var/lib/regctl-acme"

func ourSocketGID(p Place) int {
	if p.Front == nil || p.Front.server.Kind == "" {
		return p.GID
	}
	return p.Front.server.GID
}
