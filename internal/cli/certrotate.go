package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

type rotateFlags struct {
	sshFlags
	skip, dryRun bool
}

func newCertRotate(a *app) *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate-ca",
		Short: "Replace the CA on the registry and on every client, while pulls go on",
		Long: `Replace the private CA by a new one, with no moment at which a client trusts neither:

  1. a new CA is made beside the old one, for the names in regctl.yaml;
  2. every host that trusts the registry is given both, and proves it by a pull;
  3. the registry serves a leaf of the new CA, with no restart;
  4. every host proves that it trusts that one;
  5. the old CA leaves the hosts, and then this machine.

A host that is not ready stops it before the third, with exit status 3;
--skip-unreachable leaves behind those that cannot be reached. Interrupted or killed,
the same command again finishes. Hosts are logged in to as trust-clients did.`,
		Example: `  regctl cert rotate-ca
  regctl cert rotate-ca --yes --skip-unreachable`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return settled(func() error { return a.runRotate(cmd, &f) })
		},
	}
	f.registerLogin(cmd)
	cmd.Flags().BoolVar(&f.skip, "skip-unreachable", false, "leave hosts behind that cannot be reached: they are to be told to trust the new CA later")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would change, and change nothing; no host is asked")
	return cmd
}

func (a *app) runRotate(cmd *cobra.Command, f *rotateFlags) (err error) {
	ctx := cmd.Context()
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if err := firstError(f.check(), r.MayRotate()); err != nil {
		return err
	}
	hosts, err := statedir.MayTrust(r.Dir)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.showChanges(rotationPlan(r, hosts))
	}
	got, err := a.ask(ctx, &f.sshFlags)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("replace the CA of %s, which %d %s?", r.Spec.Endpoint(), len(hosts), trusting(len(hosts)))
	if err := a.ui.Confirm(ctx, question); err != nil {
		return err
	}
	a.attend(r)
	if err := r.ConnectForRenewal(ctx); err != nil {
		return err
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, "regctl cert rotate-ca"); err != nil {
		return err
	}
	defer func() { err = firstError(err, r.Unlock()) }()
	if hosts, err = statedir.MayTrust(r.Dir); err != nil {
		return err
	}
	dial := &dialers{a: a, flags: &f.sshFlags, given: cmd.Flags().Changed, secrets: got}
	defer dial.close()
	x := &rotation{app: a, r: r, flags: &f.sshFlags, skip: f.skip, hosts: hosts, dial: dial, settings: settings(cmd, kept...)}
	err = x.run(ctx)
	var stop *stopped
	if err == nil || errors.As(err, &stop) {
		err = firstError(a.showRotation(x, err == nil), err)
	}
	if stop != nil {
		a.ui.Error(stop.error)
		err = exitStatus(exitPartly)
	}
	if ctx.Err() != nil {
		return exitStatus(exitInterrupted)
	}
	return err
}

func trusting(n int) string {
	return plural(n, "host") + map[bool]string{true: " trusts", false: " trust"}[n == 1]
}

// stopped says which hosts keep a rotation from going on.
type stopped struct{ error }

func (s *stopped) Unwrap() error { return s.error }

// run goes through the phases that are left.
func (x *rotation) run(ctx context.Context) error {
	if x.r.Rotation() != statedir.Withdrawing {
		if err := x.r.PrepareCA(ctx); err != nil {
			return err
		}
		if err := x.everywhere(ctx, "giving both CAs", x.r.ForClients); err != nil {
			return err
		}
		planned, err := x.r.PlanSwitch(ctx)
		if err != nil {
			return err
		}
		x.sayRestart(planned)
		if err := x.r.SwitchCA(ctx, planned, x.skipped); err != nil {
			return err
		}
	} else {
		x.skipped = slices.Clone(x.r.Skipped())
	}
	if err := x.everywhere(ctx, "verifying the new leaf", x.r.ForClients); err != nil {
		return err
	}
	if err := x.everywhere(ctx, "withdrawing the old CA", x.r.InForce); err != nil {
		return err
	}
	return x.r.DropCA(ctx)
}

// sayRestart says first that a stock image is restarted for another certificate.
func (x *rotation) sayRestart(planned step.Planned) {
	if x.r.Spec.Image != "" && x.r.Restarts(planned) {
		x.app.ui.Say("%s loads its certificate when it starts: it is restarted, and is away for a moment", x.r.Spec.Image)
	}
}
