package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/step"
)

func newDestroy(a *app) *cobra.Command {
	var dryRun, keepData bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove the registry and everything regctl made for it",
		Long: `Remove the registry and everything regctl made for it: container or process,
image, files, images stored. Nothing that regctl did not make is touched. It
asks first; --yes goes ahead.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findAny()
			if err != nil {
				return err
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
			return a.runDestroy(cmd, r, dryRun, keepData)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&keepData, "keep-data", false, "keep the images; a later init in the same place serves them again")
	return cmd
}

type destroyResult struct {
	SchemaVersion int      `json:"schemaVersion"`
	Dir           string   `json:"dir"`
	Kept          []string `json:"kept"`
}

func (a *app) runDestroy(cmd *cobra.Command, r *scenario.Registry, dryRun, keepData bool) error {
	ctx := cmd.Context()
	r.Progress = func(what string) { a.ui.Say("%s", what) }
	if err := r.ConnectForDestroy(ctx); err != nil {
		return err
	}
	if dryRun {
		return a.showChanges(r.PlanDestroy(keepData))
	}
	question := fmt.Sprintf("remove registry %s in %s, images and all?", r.Name(), r.Dir)
	if keepData {
		question = fmt.Sprintf("remove registry %s in %s, but keep its images?", r.Name(), r.Dir)
	}
	if err := a.ui.Confirm(ctx, question); err != nil {
		return err
	}
	if err := r.LockToDestroy(ctx, a.flag.lockTimeout); err != nil {
		return err
	}
	kept, err := r.Destroy(ctx, keepData)
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
