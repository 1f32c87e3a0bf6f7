package proxy

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"text/template"

	"github.com/regctl/regctl/templates"
)

// renderNginx gives the site in nginx's language. With a Webroot and no certificate
// yet it answers the challenges alone.
func renderNginx(server Server, site Site, pem string) ([]byte, error) {
	if err := site.validate(); err != nil {
		return nil, err
	}
	values := map[string]any{
		"Name": site.Name, "Hosts": strings.Join(bracketedAll(site.Hosts), " "),
		"UsersFile": site.UsersFile, "Realm": site.Realm, "Webroot": site.Webroot,
		"Elsewhere": "404",
	}
	tls := site.Cert != nil
	if tls || site.Webroot == "" {
		values["Upstreams"] = site.Upstreams
		values["Listen"] = nginxArgs(server, site.Listen, tls)
	}
	if tls {
		values["PEM"] = pem
		values["HTTP2On"] = !server.before(1, 25, 1) && !server.noHTTP2
		values["Elsewhere"] = "301 https://$host" + portSuffix(site.Listen[0]) + "$request_uri"
	}
	if site.Webroot != "" {
		values["Plain"] = nginxArgs(server, site.plain(), false)
	}
	return fill("nginx-site.conf.tmpl", values)
}

func fill(name string, values any) ([]byte, error) {
	text, err := templates.FS.ReadFile(name)
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New(name).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, values)
	return out.Bytes(), err
}

// nginxArgs are the arguments of listen. Before 1.25.1 HTTP/2 belongs to the address
// and not to the site: where others share it without, it stays off, since turning it on
// would be for them too.
func nginxArgs(server Server, listen []string, tls bool) []string {
	var all []string
	for _, address := range server.addresses(listen) {
		arg := address
		if rest, ok := strings.CutPrefix(address, "*:"); ok {
			arg = rest
		}
		if tls {
			arg += " ssl"
		}
		if tls && server.before(1, 25, 1) && !server.noHTTP2 && server.mayHTTP2(address) {
			arg += " http2"
		}
		all = append(all, arg)
	}
	return all
}

func (s Server) mayHTTP2(address string) bool {
	for _, l := range s.Listens {
		if l.Address == address && !l.Ours && !l.HTTP2 {
			return false
		}
	}
	return true
}

// addresses spells a site's addresses out: "*:443", "[::]:443", "10.0.0.1:443".
func (s Server) addresses(listen []string) []string {
	var all []string
	for _, l := range listen {
		host, port, err := net.SplitHostPort(l)
		if err != nil {
			host, port = "", l
		}
		switch {
		case host == "" && s.isDual(port): // where IPv4 cannot be had a second time
			all = append(all, "[::]:"+port)
		case host == "" && s.IPv6 && s.Kind == Nginx: // Apache's covers both
			all = append(all, "*:"+port, "[::]:"+port)
		case host == "", host == "0.0.0.0":
			all = append(all, "*:"+port)
		default:
			all = append(all, net.JoinHostPort(host, port))
		}
	}
	return all
}

func (s Server) isDual(port string) bool {
	for _, l := range s.Listens {
		if l.dual && l.Address == "[::]:"+port {
			return true
		}
	}
	return false
}

// portSuffix is what a URL of HTTPS has for its port.
func portSuffix(listen string) string {
	if _, port, err := net.SplitHostPort(listen); err == nil {
		listen = port
	}
	if listen == "443" {
		return ""
	}
	return ":" + listen
}

// before reports whether the server is older than that version; one that did not say
// counts as new.
func (s Server) before(version ...int) bool {
	parts := strings.Split(s.Version, ".")
	for i, want := range version {
		if i >= len(parts) {
			return false
		}
		got, err := strconv.Atoi(parts[i])
		if err != nil || got > want {
			return false
		}
		if got < want {
			return true
		}
	}
	return false
}
