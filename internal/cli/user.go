package cli

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
)

func newUser(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Say who may push and pull, with which password",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserAdd(a), newUserList(a), newUserPasswd(a), newUserRemove(a))
	return cmd
}

// passwordFlags say where a new password comes from, and how dear its hash is.
type passwordFlags struct {
	stdin, dryRun bool
	cost          int
}

func (p *passwordFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&p.stdin, "password-stdin", false, "read the password from a line of standard input")
	f.IntVar(&p.cost, "cost", htpasswd.DefaultCost, "bcrypt's cost; each step doubles the time of a guess, and of a login")
	f.BoolVar(&p.dryRun, "dry-run", false, "print what would change, and change nothing")
}

// account is a user with a new password.
type account struct {
	name, hash string
	given      secret.String // empty for a dry run
	generated  secret.String // what people are told, once
}

// newAccount asks for a password, or makes one where there is nobody to ask. For a dry
// run the hash is nobody's.
func (a *app) newAccount(ctx context.Context, name string, p *passwordFlags) (account, error) {
	acc := account{name: name, hash: htpasswd.Dummy(htpasswd.DefaultCost)}
	if err := htpasswd.CheckName(name); err != nil {
		return acc, err
	}
	if err := htpasswd.CheckCost(p.cost); err != nil || p.dryRun {
		return acc, err
	}
	var err error
	switch {
	case p.stdin:
		acc.given, err = a.secretLine("password for "+name, "--password-stdin")
	case a.ui.CanAsk():
		acc.given, err = a.ui.NewSecret(ctx, "password for "+name, "use --password-stdin, or --no-input for one that is made up")
	default:
		acc.given = secret.New(rand.Text())
		acc.generated = acc.given
	}
	if err != nil {
		return acc, err
	}
	acc.hash, err = htpasswd.Hash(acc.given, p.cost)
	return acc, err
}

type userResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	Changed       bool   `json:"changed"`
	Password      string `json:"password,omitempty"` // a generated one
}

// userChange is one change to the file of users. It says whether there is one.
type userChange func(r *scenario.Registry, f *htpasswd.File) (changed bool, err error)

// userCommand is what the commands that change users differ in.
type userCommand struct {
	command string
	dryRun  bool
	change  userChange
	grace   func(f *htpasswd.File) *scenario.Grace // of the user before the change; nil: none
	ends    string                                 // whose grace is over
	expels  bool                                   // a password that was good is good no more
}

// changeUsers makes one change to the file of users, under the lock.
func (a *app) changeUsers(ctx context.Context, c userCommand) (changed bool, err error) {
	r, err := a.findExisting()
	if err != nil {
		return false, err
	}
	a.attend(r)
	if !c.dryRun {
		if err := r.LockForUsers(ctx, a.flag.lockTimeout, c.command); err != nil {
			return false, err
		}
		defer func() { err = firstError(err, r.Unlock()) }()
	}
	file, err := r.Users()
	if err != nil {
		return false, err
	}
	var keep *scenario.Grace
	if c.grace != nil {
		keep = c.grace(file)
	}
	if changed, err = c.change(r, file); err != nil || !changed {
		return false, err
	}
	r.SetUsers(file)
	a.warnOfUsers(r, file)
	if !r.Rests() {
		return true, a.changeWithRestart(ctx, r, c.dryRun)
	}
	planned, err := r.PlanUsers(ctx, keep, c.ends)
	if err != nil || c.dryRun {
		return true, firstError(err, a.showChangesIf(err == nil, planned))
	}
	err = r.ChangeUsers(ctx, planned)
	if err == nil && c.expels {
		err = r.Taken(ctx)
	}
	return true, err
}

// warnOfUsers names what in the file does not do what it seems to.
func (a *app) warnOfUsers(r *scenario.Registry, f *htpasswd.File) {
	for _, p := range f.Problems() {
		text := p.Text
		if p.Fatal && r.Spec.Image != "" {
			text += "; because of it the stock registry lets nobody in"
		}
		a.ui.Warn("%s: line %d: %s", r.Dir.Htpasswd(), p.Line, text)
	}
	if len(f.Users()) == 0 {
		a.ui.Warn("there are no users, so nobody can log in: regctl user add NAME")
	}
}

func noUser(name string) string { return fmt.Sprintf("there is no user %s", name) }
