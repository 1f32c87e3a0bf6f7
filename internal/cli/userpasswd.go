package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

func newUserPasswd(a *app) *cobra.Command {
	var p passwordFlags
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a user another password",
		Long: `Give a user another password, at once: nothing restarts. It is asked for twice;
without a terminal it is one that is made up, and printed this once.

With --grace the old password stays good beside the new one for that long, so that
machines which have it can be given the new one in turn. Only the registry inside
regctl knows two passwords of one user.`,
		Example: `  regctl user passwd alice
  regctl user passwd ci --grace 1h --password-stdin <password.txt`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.userPasswd(cmd.Context(), given[0], &p, grace, cmd.Flags().Changed("grace"))
		},
	}
	p.register(cmd)
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old password stays good, such as 1h")
	return cmd
}

func (a *app) userPasswd(ctx context.Context, name string, p *passwordFlags, grace time.Duration, graced bool) error {
	if err := a.mayPasswd(name, p, grace, graced); err != nil {
		return err
	}
	acc, err := a.newAccount(ctx, name, p)
	if err != nil {
		return err
	}
	c := userCommand{command: "regctl user passwd", dryRun: p.dryRun, ends: name, expels: !graced, change: func(_ *scenario.Registry, f *htpasswd.File) (bool, error) {
		if _, there := f.Find(name); !there {
			return false, fault.Usage("regctl user add "+name+" adds them", "%s", noUser(name))
		}
		f.Set(name, acc.hash)
		return true, nil
	}}
	if graced {
		c.grace = func(f *htpasswd.File) *scenario.Grace {
			old, there := f.Find(name)
			if !there || !htpasswd.Usable(old.Hash) {
				return nil
			}
			return &scenario.Grace{User: name, Hash: old.Hash, Until: time.Now().Add(grace)}
		}
	}
	err = settled(func() error {
		_, err := a.changeUsers(ctx, c)
		return err
	})
	if err != nil || p.dryRun {
		return err
	}
	if graced {
		a.ui.Say("the password of %s is changed; the old one is good until %s", name, moment(time.Now().Add(grace)))
	} else {
		a.ui.Say("the password of %s is changed", name)
	}
	return a.showAccount(acc)
}

// mayPasswd refuses before anybody is asked for a password.
func (a *app) mayPasswd(name string, p *passwordFlags, grace time.Duration, graced bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if graced && grace < time.Second {
		return fault.Usage("for example --grace 1h", "--grace cannot be %s", grace)
	}
	if graced {
		if err := r.CanGrace(); err != nil {
			return err
		}
	}
	if _, err := r.HasUsers(); err != nil {
		return err
	}
	f, err := r.Users()
	if err != nil {
		return err
	}
	if _, there := f.Find(name); !there || r.Spec.Auth.Mode == spec.AuthNone {
		return fault.Usage("regctl user add "+name+" adds them", "%s", noUser(name))
	}
	return htpasswd.CheckCost(p.cost)
}
