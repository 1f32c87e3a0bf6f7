package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

func newDestroy(a *app) *cobra.Command {
	var dryRun, keepData, forget, revoke bool
	var nodes nodeFlags
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove the registry and everything regctl made for it",
		Long: `Remove the registry and everything regctl made for it: container or process,
image, files, images stored. Nothing that regctl did not make is touched. It
asks first; --yes goes ahead. While hosts trust the registry it refuses, since they
would keep what they were given: regctl untrust-clients --all takes that back.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findAny()
			if err != nil {
				going, other := r.WithoutSpec(a.flag.name)
				if !going || other != nil {
					return firstError(other, err)
				}
				a.ui.Warn("%v; what was made is known without it", err)
			}
			if !r.Exists() && !r.Leftover(keepData) {
				a.ui.Say("nothing to do: there is no registry in %s", r.Dir)
				if dryRun {
					return a.showChanges(step.Planned{})
				}
				if err := r.ClearAway(); err != nil {
					return err
				}
				return a.ui.Result(destroyResult{1, string(r.Dir), []string{}}, func(io.Writer) {})
			}
			if err := a.noClients(r, dryRun, forget); err != nil {
				return err
			}
			if revoke && r.Spec.TLS.Mode != spec.TLSLetsEncrypt {
				return fault.Usage("leave --revoke out", "only a certificate of --tls letsencrypt can be revoked")
			}
			if err := nodes.over(cmd, a, r); err != nil {
				return err
			}
			return a.runDestroy(cmd, r, destroyOptions{dryRun, keepData, revoke})
		},
	}
	nodes.register(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&keepData, "keep-data", false, "keep the images; a later init in the same place serves them again")
	cmd.Flags().BoolVar(&revoke, "revoke", false, "with --tls letsencrypt: have the CA revoke the certificate first")
	cmd.Flags().BoolVar(&forget, "forget-clients", false, "go ahead although hosts trust the registry, and forget which")
	return cmd
}

// noClients refuses while hosts trust the registry, unless they are to be forgotten.
// What they trust is said then, so that people can take it out by hand.
func (a *app) noClients(r *scenario.Registry, dryRun, forget bool) error {
	hosts, err := statedir.MayTrust(r.Dir)
	if err != nil || len(hosts) == 0 {
		return err
	}
	text := fmt.Sprintf("%d %s trust the registry: %s", len(hosts), plural(len(hosts), "host"), strings.Join(hosts, ", "))
	switch {
	case forget:
		if ca := r.CAFingerprint(); ca != "" {
			text += "; the CA that they go on trusting is " + ca
		}
		a.ui.Warn("%s", text)
	case dryRun:
		a.ui.Warn("%s; without --forget-clients it would be refused", text)
	default:
		return fault.Usage("regctl untrust-clients --all takes back what they were given; --forget-clients leaves it there", "%s", text)
	}
	return nil
}

type destroyResult struct {
	SchemaVersion int      `json:"schemaVersion"`
	Dir           string   `json:"dir"`
	Kept          []string `json:"kept"`
}

type destroyOptions struct{ dryRun, keepData, revoke bool }

func (a *app) runDestroy(cmd *cobra.Command, r *scenario.Registry, o destroyOptions) error {
	ctx := cmd.Context()
	r.Progress = func(what string) { a.ui.Say("%s", what) }
	if err := r.ConnectForDestroy(ctx); err != nil {
		return err
	}
	if o.dryRun {
		return a.showChanges(r.PlanDestroy(o.keepData))
	}
	question := fmt.Sprintf("remove registry %s in %s, images and all?", r.Name(), r.Dir)
	if o.keepData {
		question = fmt.Sprintf("remove registry %s in %s, but keep its images?", r.Name(), r.Dir)
	}
	if err := a.ui.Confirm(ctx, question); err != nil {
		return err
	}
	if err := r.LockToDestroy(ctx, a.flag.lockTimeout); err != nil {
		return err
	}
	if o.revoke {
		if err := r.Revoke(ctx); err != nil {
			return errors.Join(err, r.Unlock())
		}
	}
	kept, err := r.Destroy(ctx, o.keepData)
	if err := firstError(err, r.Unlock()); err != nil {
		return err
	}
	return a.ui.Result(destroyResult{1, string(r.Dir), append([]string{}, kept...)}, func(w io.Writer) {
		fmt.Fprintf(w, "registry %s is gone\n", r.Name())
		for _, path := range kept {
			fmt.Fprintf(w, "kept %s\n", path)
		}
	})
}
