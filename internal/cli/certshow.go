package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/scenario"
)

func newCertShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the certificates: names, dates, fingerprints, and whether they are what is served",
		Long: `Show the certificate in use, its chain and the CA that clients trust, and ask the
endpoint on this machine what it serves. Exit status 1 when something is wrong:
expired, unreadable, not a pair, or not what is served.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			c, problem := r.Certificates(cmd.Context())
			if c.Leaf == nil && c.CA == nil {
				return problem
			}
			if err := a.ui.Result(c, func(w io.Writer) { printCertificates(w, c) }); err != nil {
				return err
			}
			return problem
		},
	}
}

func printCertificates(w io.Writer, c scenario.Certificates) {
	show := func(what string, cert scenario.Certificate) {
		fmt.Fprintf(w, "%s: %s\n", what, cert.Subject)
		row := func(key, format string, args ...any) {
			fmt.Fprintf(w, "  %-8s %s\n", key, fmt.Sprintf(format, args...))
		}
		if len(cert.SANs) > 0 {
			row("names", "%s", strings.Join(cert.SANs, ", "))
		}
		if cert.Issuer != cert.Subject {
			row("issuer", "%s", cert.Issuer)
		}
		row("valid", "%s to %s (%s)", moment(cert.NotBefore), moment(cert.NotAfter), left(cert.DaysLeft))
		row("key", "%s", cert.KeyType)
		row("serial", "%s", cert.Serial)
		row("SHA-256", "%s", cert.Fingerprint)
	}
	if c.Leaf != nil {
		show("leaf ("+c.Mode+")", *c.Leaf)
	}
	for _, cert := range c.Chain {
		show("chain", cert)
	}
	if c.CA != nil {
		show("CA", *c.CA)
	}
	if c.Rotation != "" {
		fmt.Fprintf(w, "the CA is being replaced (%s): regctl cert rotate-ca finishes it\n", c.Rotation)
	}
	if c.RenewAfter != nil {
		fmt.Fprintf(w, "renewed from %s on\n", moment(*c.RenewAfter))
	}
	switch {
	case c.Served == nil:
		fmt.Fprintln(w, "nothing answers that would serve it")
	case *c.ServedMatches:
		fmt.Fprintf(w, "served at %s by %s\n", c.Served.Address, c.Served.By)
	default:
		fmt.Fprintf(w, "served at %s by %s: another one, serial %s\n", c.Served.Address, c.Served.By, c.Served.Serial)
	}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func left(days int) string {
	switch {
	case days < 0:
		return "expired"
	case days == 1:
		return "1 day left"
	}
	return fmt.Sprintf("%d days left", days)
}
