package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/export"
)

func newExport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the registry down for Compose, podman's Quadlet or Kubernetes",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.newExportTo("compose", "Print a Compose file", `Print a Compose file that runs the registry as it runs here: the same image, user,
files and port. Stop the registry here first, since both use its files.`,
			func(w export.Workload, _ bool) ([]byte, error) { return export.Compose(w) }),
		a.newExportTo("quadlet", "Print a .container unit for podman", `Print a unit for podman's systemd generator (podman 4.4 and later), to be put into
/etc/containers/systemd. podman needs the image: docker save IMAGE | podman load.
Stop the registry here first, since both use its files.`,
			func(w export.Workload, _ bool) ([]byte, error) { return export.Quadlet(w) }),
		a.newExportTo("kubernetes", "Print manifests for Kubernetes", `Print a Secret, a PersistentVolumeClaim, a Deployment and a Service. The Secret has
config.yml, the users and the certificate's key, so its values are *** unless
--show-secrets is given; pipe that into kubectl apply -f -. --image names the image
where the cluster finds it. Images that were pushed here stay here.`,
			export.Kubernetes),
	)
	return cmd
}

// exportResult is a rendered file inside JSON.
type exportResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Content       string `json:"content"`
}

func (a *app) newExportTo(name, short, long string, render func(w export.Workload, showSecrets bool) ([]byte, error)) *cobra.Command {
	var image string
	var showSecrets bool
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			w, err := r.Workload(image)
			if err != nil {
				return err
			}
			data, err := render(w, showSecrets)
			if err != nil {
				return err
			}
			if a.ui.Format == "json" || a.ui.Format == "yaml" && name == "quadlet" { // the others are YAML as they are
				return a.ui.Result(exportResult{1, string(data)}, nil)
			}
			_, err = a.ui.Out.Write(data)
			return err
		},
	}
	cmd.Flags().StringVar(&image, "image", "", "the image's name where that engine finds it (default: as here)")
	if name == "kubernetes" {
		cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "print secrets in clear")
	}
	return cmd
}
