package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/engine"
)

// newProbe is what a container's health check runs: an image from scratch has
// no shell and no curl.
func newProbe(*app) *cobra.Command {
	return &cobra.Command{
		Use:    "probe CONFIG.yml",
		Short:  "Ask once whether the registry of this configuration answers on this machine",
		Hidden: true,
		Args:   args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return engine.ProbeConfig(cmd.Context(), given[0])
		},
	}
}
