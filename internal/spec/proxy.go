package spec

import (
	"strings"
	"unicode"

	"github.com/distribution/reference"
)

// Proxy says which web server stands in front of the registry.
type Proxy struct {
	Kind   string `yaml:"kind"`             // none, nginx or apache
	Image  string `yaml:"image,omitempty"`  // run that nginx as a container, in place of this machine's
	AuthAt string `yaml:"authAt,omitempty"` // who asks for the password: "" is AuthAtRegistry
	// Port is where a stock image listens on 127.0.0.1; 0 is DefaultPort. The embedded
	// registry listens on a unix socket.
	Port int `yaml:"port,omitempty"`
	// Pushers may do everything and Pullers may pull, where Apache asks for the password:
	// the groups of distribution's recipe. With neither all users may do everything.
	Pushers []string `yaml:"pushers,omitempty"`
	Pullers []string `yaml:"pullers,omitempty"`
}

// HasGroups reports whether not all users may do everything.
func (p Proxy) HasGroups() bool { return len(p.Pushers)+len(p.Pullers) > 0 }

// Values that fields of Proxy take.
const (
	ProxyNone   = "none"
	ProxyNginx  = "nginx"
	ProxyApache = "apache"

	AuthAtRegistry = "registry"
	AuthAtProxy    = "proxy"
)

// Proxied reports whether a proxy stands in front.
func (s Spec) Proxied() bool { return s.Proxy.Kind != ProxyNone && s.Proxy.Kind != "" }

// ProxyAsks reports whether the proxy asks for the password, and the registry does not.
func (s Spec) ProxyAsks() bool { return s.Proxied() && s.Proxy.AuthAt == AuthAtProxy }

// ProxyOnHost reports whether the proxy is this machine's own.
func (s Spec) ProxyOnHost() bool { return s.Proxied() && s.Proxy.Image == "" }

// Socket reports whether the registry listens on a unix socket and on no address.
func (s Spec) Socket() bool { return s.Proxied() && s.Image == "" }

// BackendPort is where a stock image listens on 127.0.0.1 behind a proxy.
func (p Proxy) BackendPort() int {
	if p.Port == 0 {
		return DefaultPort
	}
	return p.Port
}

// EndpointTLS reports whether the registry itself speaks TLS: behind a proxy it never does.
func (s Spec) EndpointTLS() bool { return s.TLS.Mode != TLSNone && !s.Proxied() }

// UsualPort is the port that clients use when nothing is said about it.
func (s Spec) UsualPort() int {
	switch {
	case !s.Proxied():
		return DefaultPort
	case s.TLS.Mode == TLSNone:
		return 80
	}
	return 443
}

func (s Spec) checkProxy() *finding {
	p := s.Proxy
	if f := choice("proxy.kind", p.Kind, ProxyNone, ProxyNginx, ProxyApache, ""); f != nil {
		return newFinding("proxy.kind", choiceHint(p.Kind, []string{ProxyNone, ProxyNginx, ProxyApache}), "unknown value %q", p.Kind)
	}
	if !s.Proxied() {
		for key, set := range map[string]bool{
			"proxy.image": p.Image != "", "proxy.authAt": p.AuthAt != "", "proxy.port": p.Port != 0,
			"proxy.pushers": len(p.Pushers) > 0, "proxy.pullers": len(p.Pullers) > 0,
		} {
			if set {
				return newFinding(key, "add --proxy nginx or --proxy apache, or leave it out", "no proxy stands in front")
			}
		}
		return nil
	}
	if f := choice("proxy.authAt", p.AuthAt, "", AuthAtRegistry, AuthAtProxy); f != nil {
		return newFinding("proxy.authAt", "one of registry or proxy", "%q is not one of them", p.AuthAt)
	}
	if f := s.checkProxyImage(); f != nil {
		return f
	}
	if f := s.checkGroups(); f != nil {
		return f
	}
	return s.checkProxyMeets()
}

func (s Spec) checkGroups() *finding {
	p := s.Proxy
	for key, names := range map[string][]string{"proxy.pushers": p.Pushers, "proxy.pullers": p.Pullers} {
		if len(names) > 0 && (p.Kind != ProxyApache || p.AuthAt != AuthAtProxy) {
			return newFinding(key, "use kind: apache with authAt: proxy, or auth: {mode: token} for rules by repository", "only Apache knows groups, where it asks for the password")
		}
		for _, name := range names {
			if name == "" || strings.ContainsFunc(name, unicode.IsSpace) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, ":") {
				return newFinding(key, "names as in user add", "%q cannot stand in Apache's file of groups", name)
			}
		}
	}
	return nil
}

func (s Spec) checkProxyImage() *finding {
	p := s.Proxy
	switch {
	case p.Image == "":
		return nil
	case p.Kind != ProxyNginx:
		return newFinding("proxy.image", "use --proxy nginx, or leave it out", "only nginx is run as a container")
	case s.Runtime == RuntimeProcess:
		return newFinding("proxy.image", "leave it out, or use --runtime docker", "a process has no containers beside it")
	}
	if _, err := reference.ParseNormalizedNamed(p.Image); err != nil {
		return newFinding("proxy.image", "for example nginx:1.28", "%q is no image reference: %v", p.Image, err)
	}
	return nil
}

// checkProxyMeets looks at the proxy together with the rest.
func (s Spec) checkProxyMeets() *finding {
	p := s.Proxy
	switch {
	case p.AuthAt == AuthAtProxy && s.Auth.Mode == AuthToken:
		return newFinding("proxy.authAt", "use --auth-at registry, or --auth htpasswd", "a proxy asks for passwords, and knows no tokens")
	case p.AuthAt == AuthAtProxy && s.Auth.Mode != AuthHtpasswd:
		return newFinding("proxy.authAt", "add --auth htpasswd, or leave it out", "nobody is asked for a password")
	case p.AuthAt == AuthAtProxy && s.Image != "" && p.Image == "":
		return newFinding("proxy.authAt", "use --auth-at registry, or run the proxy as a container too with --proxy-image",
			"the stock image %s listens on a port of this machine, where whoever reached it would need no password", s.Image)
	case p.Port < 0 || p.Port > 65535:
		return newFinding("proxy.port", "a number from 1 to 65535", "%d is no port", p.Port)
	case p.Port != 0 && (s.Image == "" || p.Image != ""):
		return newFinding("proxy.port", "leave it out", "only a stock image behind this machine's own proxy listens on a port")
	case p.Port != 0 && p.Port == s.Port:
		return newFinding("proxy.port", "choose another", "%d is the proxy's own port", p.Port)
	case s.TLS.Mode == TLSLetsEncrypt && s.TLS.Challenge == ChallengeALPN:
		return newFinding("tls.challenge", "use --challenge http-01 or --challenge dns-01", "the proxy answers TLS, and knows nothing of tls-alpn-01")
	}
	return nil
}

// proxy writes the section, where there is something to say.
func (w *writer) proxy(p Proxy) {
	if p.Kind == ProxyNone || p.Kind == "" {
		return
	}
	w.line("\nproxy:")
	w.key("  kind", p.Kind, "nginx or apache, which has the port and TLS; or none")
	if p.Image != "" {
		w.key("  image", p.Image, "run this nginx as a container")
	}
	if p.AuthAt != "" {
		w.key("  authAt", p.AuthAt, "who asks for the password: registry (faster) or proxy")
	}
	if p.Port != 0 {
		w.key("  port", p.Port, "where the stock image listens on 127.0.0.1")
	}
	if len(p.Pushers) > 0 {
		w.key("  pushers", p.Pushers, "users who may do everything")
	}
	if len(p.Pullers) > 0 {
		w.key("  pullers", p.Pullers, "users who may pull")
	}
}
