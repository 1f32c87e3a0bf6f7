package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/step"
)

type upgradeOptions struct {
	image        string
	dryRun, back bool
}

func newUpgrade(a *app) *cobra.Command {
	var o upgradeOptions
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Have the registry run this regctl in place of the one that it runs",
		Long: `Have the registry, and what renews its certificate, run this regctl: the image made of
it, or the copy in DIR/bin. Until then a registry goes on with the regctl that it was
made from, whichever one apply and the other commands are of.

It asks first; --yes goes ahead. The registry is away for a moment; replicas behind a
proxy are replaced one at a time. When the new one does not answer, or does not serve
an image that nobody has seen yet, the old one is put back. Killed at any moment, the
same command again finishes. What is pending in regctl.yaml comes with it.

A stock image stays as it is; --image moves such a registry to another, and its
config.yml to what that version understands.`,
		Example: `  regctl upgrade --dry-run
  regctl upgrade --yes
  regctl upgrade --image registry:3`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return settled(func() error { return a.runUpgrade(cmd.Context(), &o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.image, "image", "", "move a registry that runs a stock image to this one")
	_ = f.SetAnnotation("image", onlyTyped, []string{"true"})
	f.BoolVar(&o.back, "downgrade", false, "go on although the registry runs a newer regctl than this")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would change, and change nothing")
	return cmd
}

type upgradeResult struct {
	SchemaVersion int              `json:"schemaVersion"`
	Name          string           `json:"name"`
	DryRun        bool             `json:"dryRun"`
	Changed       bool             `json:"changed"`
	From          scenario.Release `json:"from"`
	To            scenario.Release `json:"to"`
	Changes       []changeLine     `json:"changes"`

	behind bool // there is something to do
}

func (a *app) runUpgrade(ctx context.Context, o *upgradeOptions) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if o.image != "" {
		if err := r.WantImage(o.image); err != nil {
			return err
		}
	}
	a.attend(r)
	if err := r.ConnectForUpgrade(ctx, o.back); err != nil {
		return err
	}
	result, planned, err := a.planUpgrade(ctx, r, o.dryRun)
	if err != nil || o.dryRun || !result.behind {
		return firstError(err, a.showUpgradeIf(err == nil, result))
	}
	if err := a.ui.Confirm(ctx, upgradeQuestion(r, planned, result)); err != nil {
		return err
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, "regctl upgrade"); err != nil {
		return err
	}
	// Another command may have been at it meanwhile.
	if result, planned, err = a.planUpgrade(ctx, r, false); err == nil && result.behind {
		err = r.Upgrade(ctx, planned, result.From, result.To)
		result.Changed = true
	}
	err = errors.Join(err, r.Unlock())
	return firstError(err, a.showUpgradeIf(err == nil, result))
}

// planUpgrade finds out what is to be done; nothing where the result is not behind.
func (a *app) planUpgrade(ctx context.Context, r *scenario.Registry, dryRun bool) (result upgradeResult, planned step.Planned, err error) {
	result = upgradeResult{SchemaVersion: 1, Name: r.Name(), DryRun: dryRun, Changes: []changeLine{}}
	result.From, result.To, result.behind, err = r.Upgradable(ctx)
	if err != nil || !result.behind {
		return result, planned, err
	}
	planned, err = r.PlanUpgrade(ctx, result.From, result.To)
	result.Changes = changeLines(planned)
	return result, planned, err
}

func upgradeQuestion(r *scenario.Registry, planned step.Planned, result upgradeResult) string {
	question := fmt.Sprintf("upgrade registry %s from %s to %s?", r.Name(), result.From, result.To)
	if result.From == result.To {
		question = fmt.Sprintf("finish the upgrade of registry %s to %s, which was cut short?", r.Name(), result.To)
	}
	if r.Interrupts(planned) {
		question += " It is away for a moment"
	}
	return question
}

func (a *app) showUpgradeIf(ok bool, result upgradeResult) error {
	if !ok {
		return nil
	}
	if !result.behind {
		a.ui.Say("nothing to do: %s runs %s already", result.Name, result.To)
	}
	return a.ui.Result(result, func(w io.Writer) {
		switch {
		case result.DryRun && result.behind:
			fmt.Fprintf(w, "upgrade %s from %s to %s\n", result.Name, result.From, result.To)
			a.printChanges(w, result.Changes)
		case result.Changed:
			fmt.Fprintf(w, "%s runs %s\n", result.Name, result.To)
		}
	})
}

// sayBehind says that another regctl than this one runs r, which upgrade would change.
func (a *app) sayBehind(r *scenario.Registry) {
	if behind := r.Behind(""); behind != "" {
		a.ui.Say("%s", behind)
	}
}
