package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

type renewOptions struct{ force, dryRun bool }

func newCertRenew(a *app) *cobra.Command {
	var o renewOptions
	var loop engine.LoopOptions
	var looping bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew the certificate of a registry that runs on",
		Long: `Renew the certificate, with a new key, once two thirds of its life are over; until
then say when that will be. With --tls letsencrypt the CA may say when, and --dry-run
orders from Let's Encrypt's staging directory. With --tls files, install the files
that regctl.yaml names if they have changed. The registry serves the new certificate
from the next handshake on, with no restart, which is checked: if it does not, the
old one is put back. A stock image, which loads its certificate once, is restarted.

The names stay those of the certificate, and clients trust it as before. Names that
were added to regctl.yaml are for regctl apply.

init sets up a systemd timer, cron or, where neither is there, a process that does
this twice a day; regctl status names it. --loop is such a process in the
foreground: it ends on SIGTERM.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if looping && (o.force || o.dryRun) {
				return fault.Usage("leave --loop out", "--loop renews what is due, so neither --force nor --dry-run goes with it")
			}
			if looping {
				return a.renewLoop(cmd.Context(), loop)
			}
			return settled(func() error { return a.renew(cmd.Context(), o) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.force, "force", false, "renew it now, due or not")
	f.BoolVar(&looping, "loop", false, "go on, and renew it whenever that is due")
	f.DurationVar(&loop.Every, "every", 12*time.Hour, "with --loop: how often to look; a random tenth is added")
	f.StringVar(&loop.PIDFile, "pid-file", "", "with --loop: note the process's id here")
	f.BoolVar(&loop.Detached, "detached", false, "started by regctl, which waits for word on descriptor 3")
	_ = f.MarkHidden("pid-file")
	_ = f.MarkHidden("detached")
	f.BoolVar(&o.dryRun, "dry-run", false, "issue in memory (letsencrypt: from staging), print what would change, and change nothing")
	return cmd
}

type renewResult struct {
	SchemaVersion int       `json:"schemaVersion"`
	Name          string    `json:"name"`
	Mode          string    `json:"mode"`
	Changed       bool      `json:"changed"`
	NotAfter      time.Time `json:"notAfter"`
	RenewAfter    time.Time `json:"renewAfter"`
	Serial        string    `json:"serial"`
	Fingerprint   string    `json:"fingerprint"` // SHA-256
}

func (a *app) renew(ctx context.Context, o renewOptions) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	a.attend(r)
	if o.dryRun {
		return a.rehearse(ctx, r, o)
	}
	changed, err := a.attempt(ctx, r, o.force)
	if err != nil {
		return err
	}
	return a.showRenewed(ctx, r, changed)
}

// attempt renews if that is due, and has it noted how it went.
func (a *app) attempt(ctx context.Context, r *scenario.Registry, force bool) (changed bool, err error) {
	unfinished := r.Unfinished() // what is half done may look broken
	planned, err := a.planRenewal(ctx, r, force)
	if err == nil && planned.Empty() && !r.FailedBefore() && !r.Unfinished() || errors.Is(err, scenario.ErrNoRenewal) {
		return false, err
	}
	if locked := r.Lock(ctx, a.flag.lockTimeout, "regctl cert renew"); locked != nil {
		return false, firstError(err, locked)
	}
	defer func() { err = firstError(err, r.Unlock()) }()
	if err == nil || unfinished && r.Connected() {
		planned, err = r.PlanRenewal(ctx, force)
	}
	if err == nil && !planned.Empty() {
		if leaf, err := r.Leaf(); err == nil && time.Now().After(leaf.NotAfter) {
			a.ui.Warn("the certificate expired on %s; if it is not %s, set this machine's clock and run regctl cert renew again", moment(leaf.NotAfter), moment(time.Now()))
		}
		if r.Spec.Image != "" && r.Restarts(planned) {
			a.ui.Say("%s loads its certificate when it starts: it is restarted, and is away for a moment", r.Spec.Image)
		}
		changed, err = true, r.Renew(ctx, planned)
	}
	if ctx.Err() == nil {
		err = firstError(err, r.NoteRenewal(err))
	}
	return changed && err == nil, err
}

func (a *app) planRenewal(ctx context.Context, r *scenario.Registry, force bool) (step.Planned, error) {
	if err := r.ConnectForRenewal(ctx); err != nil {
		return step.Planned{}, err
	}
	return r.PlanRenewal(ctx, force)
}

// rehearse goes as far as issuing, and keeps nothing.
func (a *app) rehearse(ctx context.Context, r *scenario.Registry, o renewOptions) error {
	planned, err := a.planRenewal(ctx, r, o.force)
	if err != nil {
		return err
	}
	if r.Spec.TLS.Mode == spec.TLSLetsEncrypt {
		return a.rehearseOrder(ctx, r, planned)
	}
	info, ok, err := r.Rehearse(ctx, planned)
	if err != nil {
		return err
	}
	switch {
	case ok:
		a.ui.Say("issued in memory, and kept nowhere: serial %s, until %s", info.Serial, moment(info.NotAfter))
	case planned.Empty():
		err = a.whenDue(ctx, r)
	}
	return firstError(err, a.showChanges(planned))
}

// rehearseOrder is rehearse where an ACME server signs. It orders although nothing
// may be due: what it is for is to see that an order goes through.
func (a *app) rehearseOrder(ctx context.Context, r *scenario.Registry, planned step.Planned) error {
	what, info, ok, err := r.RehearseOrder(ctx)
	switch {
	case err != nil:
		return err
	case ok:
		a.ui.Say("staging issued it, and it is kept nowhere: serial %s, until %s", info.Serial, moment(info.NotAfter))
	default:
		a.ui.Say("would order a certificate for %s, which has no directory for trying it out: nothing was asked", what)
	}
	if planned.Empty() {
		err = a.whenDue(ctx, r)
	}
	return firstError(err, a.showChanges(planned))
}

func (a *app) showRenewed(ctx context.Context, r *scenario.Registry, changed bool) error {
	leaf, err := r.Leaf()
	if err != nil {
		return fault.Fail("regctl cert show says what is wrong", "%w", err)
	}
	due, err := r.Due(ctx)
	if err != nil {
		return err
	}
	if !changed {
		a.sayNotDue(r, leaf, due)
	}
	if r.OtherNames() {
		a.ui.Warn("%s names other hosts than the certificate: regctl apply issues one for them", r.Dir.Spec())
	}
	result := renewResult{1, r.Name(), r.Spec.TLS.Mode, changed, leaf.NotAfter, due.At, leaf.Serial, leaf.Fingerprint}
	return a.ui.Result(result, func(w io.Writer) {
		if changed {
			fmt.Fprintf(w, "%s has a new certificate, serial %s, until %s\n", r.Spec.Endpoint(), leaf.Serial, moment(leaf.NotAfter))
		}
	})
}

// whenDue finds out when it is due, and says so.
func (a *app) whenDue(ctx context.Context, r *scenario.Registry) error {
	leaf, err := r.Leaf()
	if err != nil {
		return err
	}
	due, err := r.Due(ctx)
	if err == nil {
		a.sayNotDue(r, leaf, due)
	}
	return err
}

func (a *app) sayNotDue(r *scenario.Registry, leaf pki.Info, due acme.DueDate) {
	switch {
	case r.Spec.TLS.Mode == spec.TLSFiles:
		a.ui.Say("nothing to do: %s is installed as it is, and good until %s", r.Spec.TLS.Cert, moment(leaf.NotAfter))
	case due.Source == acme.FromCA:
		a.ui.Say("nothing to do: it is due on %s, says the CA; --force renews it now", moment(due.At))
	default:
		a.ui.Say("nothing to do: it is due on %s, when two thirds of its life are over; --force renews it now", moment(due.At))
	}
}
