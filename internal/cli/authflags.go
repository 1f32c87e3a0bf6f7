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
}

func (s *authFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.mode, "auth", spec.AuthNone, "none (everybody may push and pull) or htpasswd")
	f.StringVar(&s.realm, "realm", "", "with --auth htpasswd: what clients are told that a password is for (default "+spec.DefaultRealm+")")
	f.BoolVar(&s.plaintext, "allow-plaintext-auth", false, "allow passwords over plain HTTP, where all can read them")
	_ = cmd.RegisterFlagCompletionFunc("auth", cobra.FixedCompletions([]string{spec.AuthNone, spec.AuthHtpasswd}, cobra.ShellCompDirectiveNoFileComp))
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
}

// firstUser is the user that init makes.
type firstUser struct {
	name string
	passwordFlags
	account *account // once its password is settled
}

func (u *firstUser) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&u.name, "user", "", "with --auth htpasswd: the first user; the password is asked for, or one is made up where there is no terminal")
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
	case r.Spec.Auth.Mode != spec.AuthHtpasswd:
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
