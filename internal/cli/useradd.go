package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/step"
)

func newUserAdd(a *app) *cobra.Command {
	var p passwordFlags
	var plaintext bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Let a user in",
		Long: `Let a user in, at once: nothing restarts. The password is asked for twice; without
a terminal it is one that is made up, and printed this once.

On a registry that asked nobody for a password, this has it ask everybody, over TLS.
The registry inside regctl does so within a moment; a stock image is restarted.`,
		Example: `  regctl user add alice
  regctl user add ci --password-stdin <password.txt`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.userAdd(cmd.Context(), given[0], &p, plaintext)
		},
	}
	p.register(cmd)
	cmd.Flags().BoolVar(&plaintext, "allow-plaintext-auth", false, "turn passwords on over plain HTTP too, where all can read them")
	return cmd
}

func (a *app) userAdd(ctx context.Context, name string, p *passwordFlags, plaintext bool) error {
	if err := a.mayAdd(name, p, plaintext); err != nil {
		return err
	}
	acc, err := a.newAccount(ctx, name, p)
	if err != nil {
		return err
	}
	var changed, closed bool
	err = settled(func() (err error) {
		changed, err = a.changeUsers(ctx, userCommand{command: "regctl user add", dryRun: p.dryRun, ends: name, change: func(r *scenario.Registry, f *htpasswd.File) (bool, error) {
			on, err := r.HasUsers()
			if closed = err == nil && !on; closed {
				err = r.AskForPasswords(plaintext)
			}
			if err != nil {
				return false, err
			}
			if u, there := f.Find(name); there {
				if p.stdin && !p.dryRun && !htpasswd.Verify(u.Hash, acc.given.Reveal()) {
					return false, fault.Usage("regctl user passwd "+name+" changes it", "user %s is there already, with another password", name)
				}
				return !on, nil
			}
			f.Set(name, acc.hash)
			return true, nil
		}})
		return err
	})
	if err != nil || p.dryRun {
		return err
	}
	if !changed {
		a.ui.Say("nothing to do: %s is a user already", name)
		return a.ui.Result(userResult{1, name, false, ""}, func(io.Writer) {})
	}
	if closed {
		a.ui.Say("the registry asks everybody for a password from now on, for pulls too")
	}
	a.ui.Say("%s may log in", name)
	return a.showAccount(acc)
}

// mayAdd refuses before anybody is asked for a password.
func (a *app) mayAdd(name string, p *passwordFlags, plaintext bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if err := firstError(htpasswd.CheckName(name), htpasswd.CheckCost(p.cost)); err != nil {
		return err
	}
	if on, err := r.HasUsers(); err != nil || on {
		return err
	}
	return r.AskForPasswords(plaintext)
}

// showAccount prints a generated password, alone, so that a script can take it.
func (a *app) showAccount(acc account) error {
	return a.ui.Result(userResult{1, acc.name, true, acc.generated.Reveal()}, func(w io.Writer) {
		if !acc.generated.Empty() {
			fmt.Fprintln(w, acc.generated.Reveal())
		}
	})
}

// changeWithRestart has a stock image ask for passwords, which it reads when it starts.
func (a *app) changeWithRestart(ctx context.Context, r *scenario.Registry, dryRun bool) error {
	if err := r.Connect(ctx); err != nil {
		return err
	}
	planned, err := r.Plan(ctx)
	if err != nil || dryRun {
		return firstError(err, a.showChangesIf(err == nil, planned))
	}
	a.ui.Say("%s reads whether to ask for passwords when it starts: it is restarted, and is away for a moment", r.Spec.Image)
	return r.Apply(ctx, planned, false)
}

func (a *app) showChangesIf(ok bool, planned step.Planned) error {
	if !ok {
		return nil
	}
	return a.showChanges(planned)
}
