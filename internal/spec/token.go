package spec

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultRules are those of a registry whose operator has not said any: whoever logs
// in may push and pull.
func DefaultRules() []Rule {
	return []Rule{{Who: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"pull", "push"}}}
}

// tokenKey is a key of auth that a server of somebody else's takes.
type tokenKey struct{ key, value, what string }

func (a Auth) tokenKeys() []tokenKey {
	return []tokenKey{
		{"auth.tokenRealm", a.TokenRealm, "the URL where clients ask for a token"},
		{"auth.tokenService", a.TokenService, "whom tokens are for, as the token server has it"},
		{"auth.tokenIssuer", a.TokenIssuer, "who makes the tokens, as they say it"},
		{"auth.tokenRootCA", a.TokenRootCA, ""},
		{"auth.tokenJWKS", a.TokenJWKS, ""},
	}
}

func (s Spec) checkToken() *finding {
	a := s.Auth
	for _, k := range append(a.tokenKeys(), tokenKey{"auth.tokenServer", a.TokenServer, ""}) {
		switch {
		case k.value == "":
		case a.Mode != AuthToken:
			return newFinding(k.key, "add --auth token, or leave it out", "only --auth token has a use for it")
		case a.Builtin() && k.key != "auth.tokenServer":
			return newFinding(k.key, "leave it out, or leave --token-server out", "the registry gives out the tokens itself")
		}
	}
	switch {
	case a.Mode != AuthToken:
		return nil
	case a.TokenServer != "" && a.TokenServer != TokenBuiltin:
		return newFinding("auth.tokenServer", "builtin; leave it out for another's, and name that with --token-realm", "unknown value %q", a.TokenServer)
	case a.Builtin() && s.Image != "":
		return newFinding("auth.tokenServer", "leave --image out, or use a token server of its own with --token-realm", "the stock image %s gives out no tokens", s.Image)
	case a.Builtin():
		return nil
	}
	return s.checkForeign()
}

// checkForeign is about a token server of somebody else's.
func (s Spec) checkForeign() *finding {
	a := s.Auth
	for _, k := range a.tokenKeys() {
		switch {
		case k.value == "" && k.what != "":
			return newFinding(k.key, "give "+k.what+"; or --token-server builtin, and the registry gives out tokens itself", "--auth token needs it")
		case strings.ContainsFunc(k.value, unicode.IsControl) || !utf8.ValidString(k.value) || strings.ContainsAny(k.value, `"\`):
			return newFinding(k.key, "without quotes and backslashes", "%q cannot go into an HTTP header", k.value)
		}
	}
	if a.TokenRootCA == "" && a.TokenJWKS == "" {
		return newFinding("auth.tokenRootCA", "give --token-root-ca FILE, --token-jwks FILE or both", "nothing says which keys sign the tokens")
	}
	for _, file := range []tokenKey{{"auth.tokenRootCA", a.TokenRootCA, ""}, {"auth.tokenJWKS", a.TokenJWKS, ""}} {
		if f := checkPath(file.key, file.value); f != nil {
			return f
		}
	}
	realm, err := url.Parse(a.TokenRealm)
	switch {
	case err != nil || realm.Host == "" || realm.Scheme != "https" && realm.Scheme != "http":
		return newFinding("auth.tokenRealm", "for example https://auth.example.com/token", "%q is no URL of HTTP", a.TokenRealm)
	case realm.User != nil || realm.Fragment != "":
		return newFinding("auth.tokenRealm", "for example https://auth.example.com/token", "%q has more in it than clients may be told", realm.Redacted())
	case realm.Scheme == "http" && !a.AllowPlaintext && !loopback(realm.Hostname()):
		return newFinding("auth.tokenRealm", "use https, or add --allow-plaintext-auth (auth.allowPlaintext: true) if nobody can listen",
			"over plain HTTP every password crosses the network in clear")
	}
	return nil
}

// loopback tells by the text alone.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

var (
	actions = []string{"pull", "push", "delete"}
	// globForm is repository names of distribution (reference.Named) with asterisks.
	globForm = regexp.MustCompile(`^[a-z0-9._/*-]+$`)
)

func (s Spec) checkRules() *finding {
	switch a := s.Auth; {
	case len(a.Rules) > 0 && !a.Builtin():
		return newFinding("auth.rules", "set auth.mode: token and auth.tokenServer: builtin, or leave them out", "only tokens of the registry's own have a use for rules")
	case a.Builtin() && len(a.Rules) == 0:
		return newFinding("auth.rules", `for example rules: [{who: ["*"], repositories: ["**"], actions: [pull, push]}]`, "there is none, so nobody could do anything")
	}
	for i, rule := range s.Auth.Rules {
		if f := rule.check(fmt.Sprintf("auth.rules[%d]", i)); f != nil {
			return f
		}
	}
	return nil
}

func (r Rule) check(key string) *finding {
	for _, part := range []struct {
		name string
		list []string
	}{{"who", r.Who}, {"repositories", r.Repositories}, {"actions", r.Actions}} {
		if len(part.list) == 0 {
			return newFinding(key, `for example {who: [alice], repositories: ["team/**"], actions: [pull, push]}`, "%s is missing", part.name)
		}
	}
	for _, who := range r.Who {
		if who == "" || len(who) > 255 || strings.ContainsAny(who, ":\n\r\x00") {
			return newFinding(key+".who", `a user's name, "*" (all who log in) or anonymous (all)`, "%q can be no user's name", who)
		}
	}
	for _, glob := range r.Repositories {
		switch {
		case globForm.MatchString(strings.ToLower(glob)) && !globForm.MatchString(glob):
			return newFinding(key+".repositories", "write it as "+strings.ToLower(glob), "%q: names of repositories have no capitals", glob)
		case !globForm.MatchString(glob) || strings.Contains(glob, "***") || strings.HasPrefix(glob, "/") || strings.Contains(glob, "//"):
			return newFinding(key+".repositories", "a name without the registry's, in which * is any text without a slash and ** any text: team/**", "%q matches no repository", glob)
		}
	}
	for _, action := range r.Actions {
		if !slices.Contains(actions, action) {
			return newFinding(key+".actions", choiceHint(action, actions), "unknown action %q", action)
		}
	}
	return nil
}
