package host

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// resolve fills a target in: what it says itself, then the options, then ssh_config,
// then the usual.
func (d *Dialer) resolve(ctx context.Context, t Target, options bool) (endpoint, error) {
	if options {
		if t.User == "" {
			t.User = d.opts.User
		}
		if t.Port == 0 {
			t.Port = d.opts.Port
		}
	}
	s, err := d.configs.lookUp(ctx, t)
	if err != nil {
		return endpoint{}, err
	}
	e := endpoint{given: t, host: t.Host, port: t.Port, user: t.User, only: s.first("identitiesonly") == "yes"}
	if name := s.first("hostname"); name != "" {
		e.host = strings.ReplaceAll(strings.ReplaceAll(name, "%%", "%"), "%h", t.Host)
	}
	if e.port == 0 {
		e.port = 22
		if text := s.first("port"); text != "" {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil || n == 0 {
				return endpoint{}, fault.Usage("mend your ssh_config", "%s: Port %s in ssh_config is no port", t.Given, text)
			}
			e.port = int(n)
		}
	}
	if e.user == "" {
		e.user = orOther(s.first("user"), d.self)
	}
	e.keyAlias = orNone(s.first("hostkeyalias"))
	e.identities = d.identities(e, s, options)
	e.chosen = options && len(d.opts.Identities) > 0
	e.knownHosts = d.knownHostsFiles(e, s)
	e.jumps = list(orNone(s.first("proxyjump")))
	if options && d.opts.Jump != "" {
		e.jumps = list(orNone(d.opts.Jump))
	} else if len(e.jumps) == 0 {
		e.proxyCommand = e.expand(orNone(s.first("proxycommand")), d.home, d.self)
	}
	return e, nil
}

func (d *Dialer) identities(e endpoint, s settings, options bool) []string {
	if options && len(d.opts.Identities) > 0 {
		return d.opts.Identities
	}
	files := s["identityfile"]
	if len(files) == 0 {
		files = []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
	}
	var paths []string
	for _, file := range files {
		if file = orNone(strings.Trim(file, `"`)); file != "" {
			paths = append(paths, e.expand(file, d.home, d.self))
		}
	}
	return paths
}

func (d *Dialer) knownHostsFiles(e endpoint, s settings) []string {
	if len(d.opts.KnownHosts) > 0 {
		return d.opts.KnownHosts
	}
	user := orOther(s.first("userknownhostsfile"), "~/.ssh/known_hosts ~/.ssh/known_hosts2")
	global := orOther(s.first("globalknownhostsfile"), "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
	var paths []string
	for _, file := range strings.Fields(orNone(user) + " " + orNone(global)) {
		paths = append(paths, filepath.Clean(e.expand(strings.Trim(file, `"`), d.home, d.self)))
	}
	return paths
}

func orOther(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// orNone turns ssh_config's word for nothing into nothing.
func orNone(s string) string {
	if strings.EqualFold(s, "none") {
		return ""
	}
	return s
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
