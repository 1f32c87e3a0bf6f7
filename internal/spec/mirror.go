package spec

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Mirror says of which registry this one keeps copies, and how it is asked for them.
type Mirror struct {
	Of           string `yaml:"of,omitempty"` // the upstream's URL; "" for a registry that is no mirror
	Username     string `yaml:"username,omitempty"`
	PasswordFile string `yaml:"passwordFile,omitempty"`
	CACert       string `yaml:"caCert,omitempty"` // PEM: who vouches for the upstream's own TLS
	TTL          string `yaml:"ttl,omitempty"`    // a duration as Go writes it; "" is DefaultMirrorTTL, 0s for ever
	// Open has everybody pull what Username may.
	Open bool `yaml:"open,omitempty"`
}

// DockerHub is what docker.io stands for as an upstream.
const DockerHub = "https://registry-1.docker.io"

// DefaultMirrorTTL is distribution's own.
const DefaultMirrorTTL = "168h"

// IsMirror reports whether the registry keeps copies of another one's images.
func (s Spec) IsMirror() bool { return s.Mirror.Of != "" }

// NormalizeMirror gives an upstream as the URL of a registry: docker.io and its like
// are Docker Hub, and a name without a scheme is asked over TLS.
func NormalizeMirror(given string) string {
	text := strings.TrimRight(given, "/")
	if text != "" && !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return given
	}
	switch u.Host {
	case "docker.io", "index.docker.io", "registry.hub.docker.com", "hub.docker.com", "registry-1.docker.io":
		return DockerHub
	}
	return text
}

func (s Spec) checkMirror() *finding {
	m := s.Mirror
	if m == (Mirror{}) {
		return nil
	}
	if f := checkUpstream(m.Of); f != nil {
		return f
	}
	for key, path := range map[string]string{"mirror.passwordFile": m.PasswordFile, "mirror.caCert": m.CACert} {
		if f := checkPath(key, path); f != nil {
			return f
		}
	}
	if m.TTL != "" {
		if d, err := time.ParseDuration(m.TTL); err != nil || d < 0 {
			return newFinding("mirror.ttl", "for example 168h, or 0s to keep images for ever", "%q is no duration", m.TTL)
		}
	}
	switch {
	case !utf8.ValidString(m.Username) || strings.ContainsFunc(m.Username, unicode.IsControl) || strings.Contains(m.Username, ":"):
		return newFinding("mirror.username", "give the name that the upstream knows", "%q can be nobody's name", m.Username)
	case m.Username != "" && m.PasswordFile == "":
		return newFinding("mirror.passwordFile", "give --mirror-password-file too", "the upstream will ask %s for a password", m.Username)
	case m.Username == "" && m.PasswordFile != "":
		return newFinding("mirror.username", "give --mirror-username too, or leave the password out", "it does not say whose password that is")
	case m.CACert != "" && strings.HasPrefix(m.Of, "http:"):
		return newFinding("mirror.caCert", "leave it out, or use https", "the upstream is asked over plain HTTP")
	case m.CACert != "" && s.Image != "":
		return newFinding("mirror.caCert", "leave --image out", "a stock image trusts no CA but those in it")
	}
	return s.checkMirrorMeets()
}

// checkMirrorMeets looks at the mirror together with the rest.
func (s Spec) checkMirrorMeets() *finding {
	m := s.Mirror
	switch {
	case s.Config["proxy"] != nil:
		return newFinding("mirror.of", "remove proxy from config:", "config.proxy says what is mirrored too")
	case m.Username != "" && s.Auth.Mode == AuthNone && s.Config["auth"] == nil && !m.Open:
		return newFinding("mirror.open", "add --auth htpasswd; or --mirror-open (mirror.open: true) if that is wanted",
			"everybody who reaches this registry could pull all that %s may pull from %s", m.Username, m.Of)
	}
	return nil
}

func checkUpstream(of string) *finding {
	const hint = "for example https://registry.example.com, or docker.io for Docker Hub"
	u, err := url.Parse(of)
	switch {
	case of == "":
		return newFinding("mirror.of", hint, "what is to be mirrored is missing")
	case err != nil:
		return newFinding("mirror.of", hint, "it is no URL") // which may hold a password
	case u.User != nil:
		return newFinding("mirror.of", "use --mirror-username and --mirror-password-file", "a URL that everybody may read is no place for credentials")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		return newFinding("mirror.of", hint, "%q is no URL of a registry", of)
	case u.Path != "":
		return newFinding("mirror.of", "give the registry's URL alone: a client names the repository when it pulls", "%q goes on after the registry's name", of)
	case NormalizeMirror(of) != of:
		return newFinding("mirror.of", "write it as "+NormalizeMirror(of), "%q is not in its normal form", of)
	}
	return nil
}

// mirrorWarnings are those of a mirror.
func (s Spec) mirrorWarnings() (all []string) {
	m := s.Mirror
	if !s.IsMirror() {
		return nil
	}
	if m.Username != "" && strings.HasPrefix(m.Of, "http:") {
		all = append(all, "the password of "+m.Username+" crosses the network in clear: "+m.Of+" is plain HTTP")
	}
	if s.Auth.Mode != AuthNone {
		all = append(all, "dockerd sends a mirror no credentials: Docker hosts that have this one in registry-mirrors are refused, and pull from Docker Hub itself; containerd and podman can log in")
	}
	if s.Redis.URL != "" {
		all = append(all, "redis.url (--redis) is of no use to a mirror, which asks its storage each time: layers that several images share go when the first of them expires")
	}
	if s.Image != "" {
		all = append(all, "a stock image does not start while "+m.Of+" is away; the registry inside regctl does")
	}
	return all
}

// mirror writes the section, where there is something to say.
func (w *writer) mirror(m Mirror) {
	if m == (Mirror{}) {
		return
	}
	w.line("\n# A pull-through cache: what is not here is fetched from there and kept. It takes no pushes.")
	w.line("mirror:")
	w.key("  of", m.Of, "")
	for _, one := range []struct{ key, value, comment string }{
		{"  username", m.Username, "whom the upstream knows"},
		{"  passwordFile", m.PasswordFile, "regctl keeps a copy in secrets"},
		{"  caCert", m.CACert, "PEM: who vouches for the upstream's own TLS"},
		{"  ttl", m.TTL, "how long a copy is kept; 0s: for ever"},
	} {
		if one.value != "" {
			w.key(one.key, one.value, one.comment)
		}
	}
	if m.Open {
		w.key("  open", m.Open, "everybody may pull what username may")
	}
}
