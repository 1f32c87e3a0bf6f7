package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func withToken(change func(*Auth)) func(*Spec) {
	return func(s *Spec) {
		s.Auth.Mode = AuthToken
		change(&s.Auth)
	}
}

func builtin(rules ...Rule) func(*Spec) {
	return withToken(func(a *Auth) { a.TokenServer, a.Rules = TokenBuiltin, rules })
}

func foreign(change func(*Auth)) func(*Spec) {
	return withToken(func(a *Auth) {
		a.TokenRealm, a.TokenService, a.TokenIssuer, a.TokenRootCA = "https://auth.test/token", "registry", "them", "/ca.pem"
		change(a)
	})
}

func TestTokenSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*Spec)
		want, hint string // "" passes
	}{
		"builtin":               {builtin(DefaultRules()...), "", ""},
		"foreign":               {foreign(func(*Auth) {}), "", ""},
		"by JWKS":               {foreign(func(a *Auth) { a.TokenRootCA, a.TokenJWKS = "", "/keys.json" }), "", ""},
		"plain on loopback":     {foreign(func(a *Auth) { a.TokenRealm = "http://127.0.0.1:5001/token" }), "", ""},
		"neither":               {withToken(func(*Auth) {}), "auth.tokenRealm (--token-realm): --auth token needs it", "--token-server builtin"},
		"no issuer":             {foreign(func(a *Auth) { a.TokenIssuer = "" }), "auth.tokenIssuer (--token-issuer)", "as they say it"},
		"no key":                {foreign(func(a *Auth) { a.TokenRootCA = "" }), "nothing says which keys", "--token-jwks"},
		"no URL":                {foreign(func(a *Auth) { a.TokenRealm = "auth.test/token" }), "is no URL", "https://"},
		"a password in it":      {foreign(func(a *Auth) { a.TokenRealm = "https://u:p@auth.test/" }), "u:xxxxx@", "https://"},
		"plain realm":           {foreign(func(a *Auth) { a.TokenRealm = "http://auth.test/token" }), "in clear", "--allow-plaintext-auth"},
		"a header that cannot":  {foreign(func(a *Auth) { a.TokenService = `a"b` }), "HTTP header", "quotes"},
		"relative file":         {foreign(func(a *Auth) { a.TokenJWKS = "keys.json" }), "auth.tokenJWKS (--token-jwks)", "whole path"},
		"other server":          {withToken(func(a *Auth) { a.TokenServer = "theirs" }), `unknown value "theirs"`, "builtin"},
		"builtin and a realm":   {withToken(func(a *Auth) { a.TokenServer, a.TokenRealm = TokenBuiltin, "https://x/" }), "gives out the tokens itself", "leave"},
		"builtin, stock image":  {func(s *Spec) { builtin(DefaultRules()...)(s); s.Image = "registry:3" }, "gives out no tokens", "--token-realm"},
		"plain HTTP":            {func(s *Spec) { builtin(DefaultRules()...)(s); s.TLS.Mode = TLSNone }, "in clear", "--allow-plaintext-auth"},
		"realm without token":   {func(s *Spec) { s.Auth.TokenRealm = "https://x/" }, "only --auth token", "--auth token"},
		"rules without builtin": {foreign(func(a *Auth) { a.Rules = DefaultRules() }), "auth.rules: ", "builtin"},
		"no rules":              {builtin(), "auth.rules: there is none", "for example"},
		"rule without who":      {builtin(Rule{Repositories: []string{"a"}, Actions: []string{"pull"}}), "auth.rules[0]: who is missing", "alice"},
		"unknown action":        {builtin(Rule{[]string{"a"}, []string{"a"}, []string{"write"}}), "auth.rules[0].actions: unknown action", "push"},
		"capitals":              {builtin(Rule{[]string{"a"}, []string{"Team/*"}, []string{"pull"}}), "no capitals", "team/*"},
		"a registry's name":     {builtin(Rule{[]string{"a"}, []string{"r.test:5000/a"}, []string{"pull"}}), "matches no repository", "without the registry's"},
		"a user with a colon":   {builtin(Rule{[]string{"a:b"}, []string{"a"}, []string{"pull"}}), "no user's name", "anonymous"},
	} {
		s := good()
		tc.change(&s)
		err := s.Validate()
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(fault.Hint(err), tc.hint) {
			t.Errorf("%s: %v (hint %q), want %q and %q", name, err, fault.Hint(err), tc.want, tc.hint)
		}
	}
}

const ruled = `version: 1
hosts: [registry.test]
auth:
  mode: token
  tokenServer: builtin
  rules: # who may
    - who: [alice]
      repositories: ["team/**"]
      actions: [pull, push]
    # everybody
    - {who: [anonymous], repositories: [public/*], actions: [pull]}
runtime: docker
`

// Rules are found by their lines, read back as they were, and edited.
func TestRules(t *testing.T) {
	s, err := Parse("f", []byte(ruled))
	want := []Rule{{[]string{"alice"}, []string{"team/**"}, []string{"pull", "push"}}, {[]string{"anonymous"}, []string{"public/*"}, []string{"pull"}}}
	if err != nil || !reflect.DeepEqual(s.Auth.Rules, want) {
		t.Fatalf("%+v, %v", s.Auth.Rules, err)
	}
	data, err := Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse("f", data); err != nil || len(Diff(s, again)) > 0 {
		t.Errorf("%v, %v\n%s", Diff(s, again), err, data)
	}
	for from, to := range map[string]string{
		"actions: [pull, push]": "actions: [pull, psh]",
		"who: [anonymous]":      "whom: [anonymous]",
		"{who: [anonymous], repositories: [public/*], actions: [pull]}": "all of them",
	} {
		before, _, _ := strings.Cut(ruled, from)
		line := 1 + strings.Count(before, "\n")
		_, err := Parse("f", []byte(strings.Replace(ruled, from, to, 1)))
		if at := fmt.Sprintf("f:%d: ", line); err == nil || !strings.HasPrefix(err.Error(), at) {
			t.Errorf("%s: %v, want line %d", to, err, line)
		}
	}
	fewer := s
	fewer.Auth.Rules = want[:1]
	edited, err := Edit([]byte(ruled), s, fewer)
	if err != nil || strings.Contains(string(edited), "anonymous") {
		t.Errorf("%v\n%s", err, edited)
	}
	off := s
	off.Auth = Auth{Mode: AuthNone}
	if edited, err := Edit([]byte(ruled), s, off); err != nil || strings.Contains(string(edited), "rules") {
		t.Errorf("%v\n%s", err, edited)
	}
}
