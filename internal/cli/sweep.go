package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/engine"
)

func newSweep(a *app) *cobra.Command {
	var o engine.SweepOptions
	cmd := &cobra.Command{
		Use:    "sweep",
		Short:  "Remove blobs that no manifest leads to: what gc has do the work",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return engine.RunSweep(cmd.Context(), o, a.sys.In, a.sys.Out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Config, "registry-config", "", "config.yml")
	f.StringVar(&o.Data, "images", "", "the folder with the images")
	f.StringVar(&o.User, "run-as", "", "UID:GID to go on as")
	f.BoolVar(&o.Untagged, "untagged", false, "remove untagged manifests too")
	f.BoolVar(&o.DryRun, "dry-run", false, "count, and remove nothing")
	f.BoolVar(&o.List, "list", false, "tell the digests too")
	return cmd
}
