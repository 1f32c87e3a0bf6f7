package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/spec"
)

func newConfigRender(a *app) *cobra.Command {
	var flags specFlags
	var file string
	var showSecrets bool
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print config.yml as the registry gets it",
		Long: `Print distribution's config.yml as the registry gets it, secrets as ***. It is
made from DIR/regctl.yaml, or from the file given, with any flag laid over it;
where there is no registry, from the flags alone. Nothing is written.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findAny()
			if err != nil {
				return err
			}
			base := r.Spec
			if file != "" {
				data, err := a.readInput(file)
				if err != nil {
					return err
				}
				if base, err = spec.Parse(file, data); err != nil {
					return err
				}
			}
			want, err := flags.over(cmd, base)
			if err != nil {
				return err
			}
			if flags.cluster.secretFile != "" {
				given, err := flags.cluster.httpSecret()
				if err != nil {
					return err
				}
				r.SetHTTPSecret(given)
			}
			if flags.storage.secrets != nil {
				r.SetStorageSecrets(flags.storage.secrets)
			}
			data, err := r.RenderConfig(want)
			if err != nil {
				return err
			}
			if !showSecrets {
				data = distconfig.Mask(data)
			}
			if a.ui.Format == "json" {
				return a.ui.Result(renderResult{1, string(data)}, nil)
			}
			_, err = a.ui.Out.Write(data)
			return err
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "render this regctl.yaml (- for standard input)")
	cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "print secrets in clear")
	return cmd
}

// renderResult is config.yml inside JSON; as YAML it stands for itself.
type renderResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Config        string `json:"config"`
}
