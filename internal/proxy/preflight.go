package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
)

// Preflight refuses what cannot succeed before anything is touched: an address that
// another program holds, or that another site serves in a way that ours cannot share,
// a name that another site has, a folder that cannot be written, a site file that is
// somebody else's, a module that is missing.
func Preflight(ctx context.Context, server Server, site Site) error {
	if _, err := Render(server, site); err != nil {
		return err
	}
	fact, err := Sites{server.Kind}.Look(ctx, server.SitePath(site.Name))
	if err != nil {
		return err
	}
	if fact.Foreign != "" {
		return fault.Fail("move it away, or choose another --name", "%s is %s", server.SitePath(site.Name), fact.Foreign)
	}
	if server.Kind == Apache {
		if err := server.missingModule(site); err != nil {
			return err
		}
		if err := server.mayGrow(server.comingListens(site)); err != nil {
			return err
		}
	}
	for _, dir := range server.folders() {
		if err := writable(dir); err != nil {
			return err
		}
	}
	for _, address := range server.addresses(site.Listen) {
		if err := server.mayListen(address, site, site.Cert != nil); err != nil {
			return err
		}
	}
	if site.Webroot != "" {
		for _, address := range server.addresses(site.plain()) {
			if err := server.mayListen(address, site, false); err != nil {
				return err
			}
		}
	}
	return selinux(server, site)
}

// folders are those that get files of ours.
func (s Server) folders() []string {
	dirs := []string{s.SiteDir, s.Root}
	if s.EnabledDir != "" {
		dirs = append(dirs, s.EnabledDir)
	}
	if s.ModulesDir != "" {
		dirs = append(dirs, s.ModulesDir)
	}
	return dirs
}

// writable tries, since neither a mode nor access(2) tells of every way to refuse.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".regctl-*.tmp")
	if err != nil {
		return readOnly(naming(dir, err))
	}
	f.Close()
	return remove(f.Name())
}

// mayListen looks at who else serves an address.
func (s Server) mayListen(address string, site Site, tls bool) error {
	for _, l := range s.Listens {
		if l.Address != address || l.File == s.servedPath(site.Name) || s.Kind == Apache && !l.vhost {
			continue
		}
		if l.TLS != tls {
			return fault.Fail("choose another --port",
				"%s serves %s %s, and a site beside it cannot do otherwise", l.File, address, map[bool]string{true: "by TLS", false: "without TLS"}[l.TLS])
		}
		for _, name := range site.Hosts {
			for _, theirs := range l.Names {
				if strings.EqualFold(name, theirs) {
					return fault.Fail("take that name out of it, or choose another --host or --port",
						"%s serves %s at %s already", l.File, name, address)
				}
			}
		}
	}
	return s.mayBind(address)
}

// mayBind tries to have the address, unless the server has it itself.
func (s Server) mayBind(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	beside := ""
	for _, l := range s.Listens {
		if l.vhost {
			continue
		}
		if s.PID != 0 && s.covers(l.Address, address) {
			return nil
		}
		if strings.HasSuffix(l.Address, ":"+port) {
			beside = l.File
		}
	}
	network, bind := "tcp", strings.Replace(address, "*:", "0.0.0.0:", 1)
	if strings.HasPrefix(address, "*:") {
		network = "tcp4"
	}
	if strings.HasPrefix(address, "[") {
		network = "tcp6"
	}
	listener, err := net.Listen(network, bind)
	if err == nil {
		return listener.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fault.Fail("choose another --bind or --port", "%s cannot listen on %s: %w", s.Kind, address, err)
	}
	if beside != "" && s.PID != 0 {
		return fault.Fail("choose another --port, or have that site listen on all addresses",
			"port %s is taken, by %s itself for single addresses (%s)", port, s.Kind, beside)
	}
	holder := "another program"
	if who := engine.PortHolder(bind); who != "" {
		holder = who
	}
	return fault.Fail("choose another --port, or stop that program", "port %s is served already, by %s", port, holder)
}

// mayGrow tries the addresses that the server is about to listen on and does not yet:
// an Apache that cannot have one of them ends, with every site that it serves.
func (s Server) mayGrow(listens []Listen) error {
	for _, l := range listens {
		if l.vhost {
			continue
		}
		if err := s.mayBind(l.Address); err != nil {
			return err
		}
	}
	return nil
}

// covers reports whether who has the one address has the other too.
func (s Server) covers(has, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || has == address {
		return has == address
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil && s.Kind == Nginx {
		return has == "[::]:"+port
	}
	return has == "*:"+port
}

// servedPath is the site's file as the server names it.
func (s Server) servedPath(name string) string {
	path := s.SitePath(name)
	if link := enabledPath(path); link != "" {
		return link
	}
	return path
}

// selinux refuses where the workers may not connect to anything: all that anyone
// would see is a 502.
func selinux(server Server, site Site) error {
	enforcing, err := os.ReadFile("/sys/fs/selinux/enforce")
	if err != nil || strings.TrimSpace(string(enforcing)) != "1" {
		return nil //nolint:nilerr // there is no SELinux
	}
	const may = "httpd_can_network_connect"
	value, err := os.ReadFile("/sys/fs/selinux/booleans/" + may)
	if err != nil || strings.HasPrefix(string(value), "1") {
		return nil //nolint:nilerr // a policy without that boolean does not confine it
	}
	for _, upstream := range site.Upstreams {
		if !strings.HasPrefix(upstream, "unix:") {
			return fault.Fail("setsebool -P "+may+" 1", "SELinux keeps %s from connecting to the registry", server.Kind)
		}
	}
	return nil
}
