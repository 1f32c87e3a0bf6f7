// Package proxy puts a registry behind an nginx or an Apache that is there already:
// it finds the server and where that reads its sites from, renders a site, and brings
// it in and out without disturbing what else is served.
package proxy

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
)

// Kind is which server stands in front.
type Kind string

// The kinds of proxy.
const (
	Nginx  Kind = "nginx"
	Apache Kind = "apache"
)

// Server is a proxy as it was found on this machine.
type Server struct {
	Kind    Kind
	Command []string // its program, with the arguments that go before any other
	Version string   // "1.22.1"
	Conf    string   // its main configuration file
	Root    string   // the folder of that file, where ours lie too
	// SiteDir is where a site's file goes. EnabledDir is where a link to it makes it
	// count; "" where it counts by lying in SiteDir.
	SiteDir, EnabledDir string
	// ModulesDir is where a link enables a module of Apache; "" where the
	// distribution enables them in other ways.
	ModulesDir  string
	User, Group string // the workers'
	UID, GID    int    // theirs
	PIDFile     string
	PID         int // the running master's; 0: none runs
	ErrorLog    string
	// Listens are the addresses that its sites listen on.
	Listens []Listen
	IPv6    bool // whether a listener on IPv6 can be had
	// Modules are those that Apache loads, by the names of LoadModule ("ssl_module").
	Modules map[string]bool

	noHTTP2   bool                // nginx was built without it
	available map[string]module   // that ModulesDir could have
	linked    map[string]bool     // the files that it has
	enabledBy map[string][]string // the links that a site of ours says were made for it
	files     []string            // that Apache's configuration consists of, in order
	texts     map[string]string   // theirs
}

// Listen is one address of one site.
type Listen struct {
	Address string   // "*:443", "[::]:443", "10.0.0.1:443", "unix:/path"
	Names   []string // the site's
	TLS     bool
	HTTP2   bool
	File    string // that says so
	Ours    bool   // regctl made that file
	// vhost says that this is a site of Apache, which listens nowhere by itself.
	vhost bool
	// dual says that an address of IPv6 takes IPv4 as well.
	dual bool
}

// SitePath is where the site of the registry name lies.
func (s Server) SitePath(name string) string { return filepath.Join(s.SiteDir, "regctl-"+name+".conf") }

// PEMPath is the site's certificates and key: one file, so that a pair changes at once.
func (s Server) PEMPath(name string) string { return filepath.Join(s.Root, "regctl-"+name+".pem") }

// UsersPath is the htpasswd that this server reads with --auth-at proxy. It is not
// written here; it ought to be 0640, root's and of the group GID.
func (s Server) UsersPath(name string) string {
	return filepath.Join(s.Root, "regctl-"+name+".htpasswd")
}

// GroupsPath is the group file that Apache reads beside UsersPath.
func (s Server) GroupsPath(name string) string {
	return filepath.Join(s.Root, "regctl-"+name+".htgroup")
}

// Site is a registry as the proxy serves it.
type Site struct {
	Name  string
	Hosts []string // names and addresses that it answers for; the first is the canonical one
	// Listen are addresses with ports: "443" or ":443" for all, IPv6 too where the
	// machine has it, "127.0.0.1:8443", "[::1]:443".
	Listen []string
	// Cert is the chain, leaf first, and Key the leaf's key, both PEM; nil serves plain HTTP.
	Cert, Key []byte
	Upstreams []string // "127.0.0.1:5001" or "unix:/path", each a replica
	// UsersFile has the proxy ask for a password: it is Server.UsersPath(Name). ""
	// leaves that to the registry.
	UsersFile string
	// GroupsFile, of Apache alone, splits who may pull and who may push by the groups
	// puller and pusher; "" lets each user do both.
	GroupsFile string
	Realm      string // of UsersFile
	// Webroot has the site answer the challenges of ACME's http-01 on port 80 from
	// this folder, and everything else there by a redirect to HTTPS.
	Webroot string
	// PlainListen are the addresses for Webroot, if not port 80 of all.
	PlainListen []string
}

// plain is where the challenges are answered.
func (s Site) plain() []string {
	if len(s.PlainListen) > 0 {
		return s.PlainListen
	}
	return []string{"80"}
}

// validate says what a configuration file cannot hold.
func (s Site) validate() error {
	words := append(append([]string{s.Name, s.UsersFile, s.GroupsFile, s.Realm, s.Webroot}, s.Hosts...), s.Upstreams...)
	for _, word := range append(append(words, s.Listen...), s.PlainListen...) {
		if strings.ContainsAny(word, "\"'\\${};#\n\r\x00") {
			return fmt.Errorf("%q: a proxy's configuration cannot hold that", word)
		}
	}
	if s.Name == "" || len(s.Hosts) == 0 || len(s.Listen) == 0 || len(s.Upstreams) == 0 {
		return fmt.Errorf("site %q: a name, a host, an address and an upstream are needed", s.Name)
	}
	if s.Cert == nil {
		return nil
	}
	// Apache would find out when it has ended the old configuration, and end.
	if _, err := tls.X509KeyPair(s.PEM(), s.PEM()); err != nil {
		return fmt.Errorf("the certificate and the key of site %s: %w", s.Name, err)
	}
	return nil
}
