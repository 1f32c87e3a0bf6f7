package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/ui"
)

func newCertExport(a *app) *cobra.Command {
	var kit string
	var dryRun bool
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the CA, or write a kit that makes hosts trust it",
		Long: `Print the CA that clients must trust, in PEM. With --kit, write into DIR what
makes hosts trust it that regctl cannot reach: trust-kit.sh for Linux,
trust-kit.ps1 for Docker Desktop, a cloud-init file and an Ansible playbook. Both
scripts check the CA's fingerprint before they place anything, and undo with
--remove (-Remove on Windows).

While cert rotate-ca is under way, both CAs are printed, and there is no kit.

--format pkcs12 is a trust store for Java and .NET, with the password changeit unless
--password-stdin gives another; it holds nothing secret.`,
		Example: `  regctl cert export > ca.crt
  regctl cert export --fingerprint
  regctl cert export --format pkcs12 > ca.p12
  regctl cert export --kit kit && scp kit/trust-kit.sh HOST: && ssh HOST sudo sh trust-kit.sh`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("kit") {
				return a.exportKit(cmd.Context(), kit, dryRun)
			}
			return a.exportCA(o)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", formatPEM, "pem, or pkcs12 for a trust store")
	cmd.Flags().BoolVar(&o.password, "password-stdin", false, "with --format pkcs12: read its password from standard input")
	cmd.Flags().BoolVar(&o.fingerprint, "fingerprint", false, "print the CA's SHA-256 and nothing else")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatPEM, formatPKCS12}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&kit, "kit", "", "write the trust kit into this folder")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print each of the kit's files as a diff, and write none")
	return cmd
}

type caResult struct {
	SchemaVersion int      `json:"schemaVersion"`
	Endpoint      string   `json:"endpoint"`
	Fingerprint   string   `json:"fingerprint"` // SHA-256
	CA            string   `json:"ca,omitempty"`
	PKCS12        []byte   `json:"pkcs12,omitempty"` // base64
	Files         []string `json:"files,omitempty"`
}

// What exportCA writes.
const (
	formatPEM    = "pem"
	formatPKCS12 = "pkcs12"
)

// storePassword is what Java gives its own trust store.
const storePassword = "changeit"

type exportOptions struct {
	format                string
	password, fingerprint bool
}

func (o exportOptions) check() error {
	switch {
	case o.format != formatPEM && o.format != formatPKCS12:
		return fault.Usage("--format takes pem or pkcs12", "unknown format %q", o.format)
	case o.password && o.format != formatPKCS12:
		return fault.Usage("add --format pkcs12, or leave it out", "only a trust store has a use for --password-stdin")
	}
	return nil
}

func (a *app) exportCA(o exportOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	ca, info, err := r.CA()
	if err != nil {
		return err
	}
	result := caResult{SchemaVersion: 1, Endpoint: r.Spec.Endpoint(), Fingerprint: info.Fingerprint}
	switch {
	case o.fingerprint:
		return a.ui.Result(result, func(w io.Writer) { fmt.Fprintln(w, info.Fingerprint) })
	case o.format == formatPKCS12:
		return a.exportStore(r, ca, o, result)
	}
	a.ui.Say("SHA-256 %s", info.Fingerprint)
	if r.Rotation() != "" {
		a.ui.Say("the CA is being replaced: this is the one in force, and another is beside it")
	}
	result.CA = string(ca)
	return a.ui.Result(result, func(w io.Writer) { _, _ = w.Write(ca) })
}

func (a *app) exportStore(r *scenario.Registry, ca []byte, o exportOptions, result caResult) error {
	if a.ui.Format == "text" && ui.IsTerminal(a.ui.Out) {
		return fault.Usage("regctl cert export --format pkcs12 > ca.p12", "a trust store is not for a terminal")
	}
	password := storePassword
	if o.password {
		text, err := io.ReadAll(io.LimitReader(a.ui.In, 1<<10))
		if err != nil {
			return err
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return fault.Usage("for example: printf %s PASSWORD | regctl cert export --format pkcs12 --password-stdin > ca.p12", "there is no password on standard input")
		}
	}
	store, err := pki.TrustStore(ca, "regctl "+r.Name(), secret.New(password))
	if err != nil {
		return err
	}
	a.ui.Say("SHA-256 of the CA in it %s", result.Fingerprint)
	if !o.password {
		a.ui.Say("its password is %s", storePassword)
	}
	result.PKCS12 = store
	return a.ui.Result(result, func(w io.Writer) { _, _ = w.Write(store) })
}
