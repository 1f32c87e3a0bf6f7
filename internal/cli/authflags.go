package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

// authFlags say who may come in.
type authFlags struct {
	mode, realm string
	plaintext   bool

	server, url, service, issuer, rootCA, jwks string // of tokens
}

func (s *authFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.mode, "auth", spec.AuthNone, "none (everybody may push and pull), htpasswd or token")
	f.StringVar(&s.realm, "realm", "", "with --auth htpasswd or token: what clients are told that a password is for (default "+spec.DefaultRealm+")")
	f.BoolVar(&s.plaintext, "allow-plaintext-auth", false, "allow passwords over plain HTTP, where all can read them")
	f.StringVar(&s.server, "token-server", "", "with --auth token: builtin, and the registry gives out tokens itself, by auth.rules of regctl.yaml")
	f.StringVar(&s.url, "token-realm", "", "with --auth token: the URL where clients ask another server for a token")
	f.StringVar(&s.service, "token-service", "", "with --token-realm: whom its tokens are for")
	f.StringVar(&s.issuer, "token-issuer", "", "with --token-realm: who its tokens say made them")
	f.StringVar(&s.rootCA, "token-root-ca", "", "with --token-realm: certificates that vouch for the keys of its tokens, PEM")
	f.StringVar(&s.jwks, "token-jwks", "", "with --token-realm: the keys of its tokens, a JSON Web Key Set")
	for flag, values := range map[string][]string{"auth": {spec.AuthNone, spec.AuthHtpasswd, spec.AuthToken}, "token-server": {spec.TokenBuiltin}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

func (s *authFlags) over(given func(string) bool, out *spec.Spec) {
	if given("auth") {
		out.Auth.Mode = s.mode
	}
	if given("realm") {
		out.Auth.Realm = s.realm
	}
	if given("allow-plaintext-auth") {
		out.Auth.AllowPlaintext = s.plaintext
	}
	for flag, set := range map[string]struct {
		to    *string
		value string
	}{
		"token-server": {&out.Auth.TokenServer, s.server}, "token-realm": {&out.Auth.TokenRealm, s.url},
		"token-service": {&out.Auth.TokenService, s.service}, "token-issuer": {&out.Auth.TokenIssuer, s.issuer},
		"token-root-ca": {&out.Auth.TokenRootCA, absolute(s.rootCA)}, "token-jwks": {&out.Auth.TokenJWKS, absolute(s.jwks)},
	} {
		if given(flag) {
			*set.to = set.value
		}
	}
	if out.Auth.Builtin() && len(out.Auth.Rules) == 0 {
		out.Auth.Rules = spec.DefaultRules()
	}
}

// firstUser is the user that init makes.
type firstUser struct {
	name string
	passwordFlags
	account *account // once its password is settled
}

func (u *firstUser) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&u.name, "user", "", "with --auth htpasswd or --token-server builtin: the first user; the password is asked for, or one is made up where there is no terminal")
	f.BoolVar(&u.stdin, "password-stdin", false, "read the password of --user from a line of standard input")
	u.cost = htpasswd.DefaultCost
}

// settle has r start with that user. Of a registry that exists it must be one.
func (u *firstUser) settle(ctx context.Context, a *app, r *scenario.Registry) error {
	switch {
	case u.name == "" && u.stdin:
		return fault.Usage("name the user with --user", "--password-stdin is for --user")
	case u.name == "":
		return nil
	case r.Spec.Auth.Foreign():
		return fault.Usage("add users there", "--user: who may come in is for the token server %s to say", r.Spec.Auth.TokenRealm)
	case !r.Spec.Auth.HasUsers():
		return fault.Usage("add --auth htpasswd", "--user: the registry asks nobody for a password")
	}
	f, err := r.Users()
	if err != nil {
		return err
	}
	if _, there := f.Find(u.name); there {
		return nil
	}
	if r.Exists() {
		return fault.Usage("regctl user add "+u.name+" adds them", "%s is a registry already, and has no user %s", r.Dir, u.name)
	}
	if u.account == nil {
		acc, err := a.newAccount(ctx, u.name, &u.passwordFlags)
		if err != nil {
			return err
		}
		u.account = &acc
	}
	f.Set(u.name, u.account.hash)
	r.SetUsers(f)
	return nil
}
