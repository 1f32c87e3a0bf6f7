package spec

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func (s Spec) checkAuth() *finding {
	if f := choice("auth.mode", s.Auth.Mode, AuthNone, AuthHtpasswd); f != nil {
		return f
	}
	a := s.Auth
	switch {
	case !utf8.ValidString(a.Realm) || strings.ContainsFunc(a.Realm, unicode.IsControl) || strings.ContainsAny(a.Realm, `"\\`):
		return newFinding("auth.realm", "words, without quotes and backslashes", "%q cannot go into an HTTP header", a.Realm)
	case a.Mode == AuthNone && a.Realm != "":
		return newFinding("auth.realm", "add --auth htpasswd, or leave it out", "nobody is asked for a password")
	case a.Mode != AuthNone && s.Config["auth"] != nil:
		return newFinding("auth.mode", "remove auth from config:", "config.auth says who may come in too")
	case a.Mode != AuthNone && s.TLS.Mode == TLSNone && !a.AllowPlaintext:
		return newFinding("auth.mode", "use TLS, or add --allow-plaintext-auth (auth.allowPlaintext: true) if nobody can listen", "over plain HTTP every password crosses the network in clear")
	}
	return nil
}

// auth writes the section, where there is something to say.
func (w *writer) auth(a Auth) {
	if a.Mode == AuthNone && !a.AllowPlaintext {
		return
	}
	w.line("\nauth:")
	w.key("  mode", a.Mode, "htpasswd, or none: everybody may push and pull")
	if a.Realm != "" {
		w.key("  realm", a.Realm, "what clients are told that a password is for")
	}
	if a.AllowPlaintext {
		w.key("  allowPlaintext", a.AllowPlaintext, "passwords may cross the network in clear")
	}
}
