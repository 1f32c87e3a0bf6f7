package spec

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func (s Spec) checkAuth() *finding {
	if f := choice("auth.mode", s.Auth.Mode, AuthNone, AuthHtpasswd, AuthToken); f != nil {
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
	if f := s.checkToken(); f != nil {
		return f
	}
	return s.checkRules()
}

// auth writes the section, where there is something to say.
func (w *writer) auth(a Auth) {
	if a.Mode == AuthNone && !a.AllowPlaintext {
		return
	}
	w.line("\nauth:")
	w.key("  mode", a.Mode, "htpasswd, token, or none: everybody may push and pull")
	if a.Realm != "" {
		w.key("  realm", a.Realm, "what clients are told that a password is for")
	}
	if a.AllowPlaintext {
		w.key("  allowPlaintext", a.AllowPlaintext, "passwords may cross the network in clear")
	}
	for _, t := range []struct{ key, value, comment string }{
		{"  tokenServer", a.TokenServer, "the registry gives out tokens itself, by the rules below"},
		{"  tokenRealm", a.TokenRealm, "where clients ask for a token"},
		{"  tokenService", a.TokenService, "whom tokens must be for"},
		{"  tokenIssuer", a.TokenIssuer, "who they must say made them"},
		{"  tokenRootCA", a.TokenRootCA, "PEM: who vouches for the keys that sign them"},
		{"  tokenJWKS", a.TokenJWKS, "JSON Web Key Set: the keys that sign them"},
	} {
		if t.value != "" {
			w.key(t.key, t.value, t.comment)
		}
	}
	if len(a.Rules) > 0 {
		w.line("  # What no rule allows is refused. who: names, \"*\" (all who log in), anonymous (all); in repositories * stops at a slash,")
		w.line("  # ** does not; actions: pull, push (with pull), delete.")
		w.key("  rules", a.Rules, "")
	}
}
