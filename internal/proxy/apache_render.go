package proxy

import (
	"fmt"
	"net"
	"strings"
)

// renderApache gives the site in Apache's language.
func renderApache(server Server, site Site, pem string) ([]byte, error) {
	if err := site.validate(); err != nil {
		return nil, err
	}
	tls := site.Cert != nil
	values := map[string]any{
		"Name": site.Name, "Host": bracketed(site.Hosts[0]), "Aliases": strings.Join(bracketedAll(site.Hosts[1:]), " "),
		"UsersFile": site.UsersFile, "GroupsFile": site.GroupsFile, "Realm": site.Realm, "Webroot": site.Webroot,
		"Scheme": "http",
	}
	if links := server.links(site); len(links) > 0 {
		values["Enabled"] = enabledLine + strings.Join(links, " ")
	}
	var listens []string
	if tls || site.Webroot == "" {
		addresses := server.addresses(site.Listen)
		listens = append(listens, addresses...)
		values["Addresses"] = strings.Join(addresses, " ")
		values["Upstreams"] = apacheUpstreams(site.Upstreams)
		values["Balanced"] = len(site.Upstreams) > 1
	}
	if tls {
		values["PEM"] = pem
		values["Scheme"] = "https"
		values["Elsewhere"] = "https://" + bracketed(site.Hosts[0]) + portSuffix(site.Listen[0])
	}
	if site.Webroot != "" {
		addresses := server.addresses(site.plain())
		listens = append(listens, addresses...)
		values["Plain"] = strings.Join(addresses, " ")
	}
	values["Listens"] = server.newListens(listens, site)
	return fill("apache-site.conf.tmpl", values)
}

// definePrefix is what the names of our own definitions begin with.
const definePrefix = "regctl_"

// apacheListen is an address that the server must be told of.
type apacheListen struct{ Define, Address string }

// newListens are those of the addresses that no other file has a Listen for, once the
// site's modules are loaded. Two sites of regctl may both need one: it is guarded by a
// definition, so that either can go first.
func (s Server) newListens(addresses []string, site Site) []apacheListen {
	var all []apacheListen
	for _, address := range addresses {
		if s.listened(address, site) {
			continue
		}
		define := strings.NewReplacer("*", "all", ".", "_", ":", "_", "[", "", "]", "").Replace(address)
		all = append(all, apacheListen{definePrefix + define, strings.TrimPrefix(address, "*:")})
	}
	return all
}

func (s Server) listened(address string, site Site) bool {
	for _, l := range append(s.Listens, s.comingListens(site)...) {
		if !l.vhost && !l.Ours && s.covers(l.Address, address) {
			return true
		}
	}
	return false
}

// comingListens are those that the modules of the site bring with them: Debian's
// ports.conf listens on 443 if mod_ssl is there.
func (s Server) comingListens(site Site) []Listen {
	conf := apacheConf{modules: map[string]bool{}, defines: map[string]bool{}}
	for name := range s.Modules {
		conf.modules[name] = true
	}
	for _, link := range s.links(site) {
		if name, ok := strings.CutSuffix(link, ".load"); ok {
			conf.modules[name+"_module"] = true
		}
	}
	for _, file := range s.files {
		conf.read(s.texts[file], file)
	}
	return conf.listens
}

// apacheUpstreams are the workers' URLs, see mod_proxy. retry=0: one that was down is
// asked again at once, so that a registry that restarts is not missed for a minute.
func apacheUpstreams(upstreams []string) []string {
	var all []string
	for i, u := range upstreams {
		url := "http://" + u
		if path, ok := strings.CutPrefix(u, "unix:"); ok {
			url = fmt.Sprintf("unix:%s|http://replica-%d", path, i)
		}
		all = append(all, url)
	}
	return all
}

// bracketed is an IPv6 address as a host in a configuration or a URL.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

func bracketedAll(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		all = append(all, bracketed(host))
	}
	return all
}
