package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/step"
)

func newUserRemove(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Let a user in no more",
		Long: `Let a user in no more, from now on: nothing restarts, and requests under way go
on. It asks first; --yes goes ahead. With no users left nobody can log in; to ask
nobody for a password, set auth: {mode: none} in regctl.yaml and run regctl apply.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return a.userRemove(cmd.Context(), given[0], dryRun) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

func (a *app) userRemove(ctx context.Context, name string, dryRun bool) error {
	there, err := a.isUser(name)
	if err != nil {
		return err
	}
	if !there && !dryRun {
		err = a.finishUsers(ctx, "regctl user remove")
	}
	if err != nil {
		return err
	}
	if !there {
		a.ui.Say("nothing to do: %s", noUser(name))
		if dryRun {
			return a.showChanges(step.Planned{})
		}
		return a.ui.Result(userResult{1, name, false, ""}, func(io.Writer) {})
	}
	if !dryRun {
		if err := a.ui.Confirm(ctx, fmt.Sprintf("let %s in no more?", name)); err != nil {
			return err
		}
	}
	var changed bool
	err = settled(func() (err error) {
		changed, err = a.changeUsers(ctx, userCommand{command: "regctl user remove", dryRun: dryRun, ends: name, expels: true, change: func(_ *scenario.Registry, f *htpasswd.File) (bool, error) {
			return f.Remove(name), nil
		}})
		return err
	})
	if err != nil || dryRun {
		return err
	}
	a.ui.Say("%s is let in no more", name)
	return a.ui.Result(userResult{1, name, changed, ""}, func(io.Writer) {})
}

func (a *app) isUser(name string) (bool, error) {
	r, err := a.findExisting()
	if err != nil {
		return false, err
	}
	if on, err := r.HasUsers(); err != nil || !on {
		return false, err
	}
	f, err := r.Users()
	if err != nil {
		return false, err
	}
	_, there := f.Find(name)
	return there, nil
}

// finishUsers finishes what a killed command left half done: a password that a user who is
// gone had before, say, may be good still.
func (a *app) finishUsers(ctx context.Context, command string) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if _, err := os.Stat(r.Dir.Journal()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := r.LockForUsers(ctx, a.flag.lockTimeout, command); err != nil {
		return err
	}
	return r.Unlock()
}
