package cli

import (
	"github.com/spf13/cobra"
)

func newCert(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Show and renew the certificates, replace the CA, and hand out the CA that clients must trust",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertShow(a), newCertRenew(a), newCertRotate(a), newCertExport(a))
	return cmd
}
