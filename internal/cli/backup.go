package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/archive"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

type backupOptions struct {
	passphraseFile          string
	data, noEncrypt, dryRun bool
}

func newBackup(a *app) *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the registry into one file, from which restore makes it again",
		Long: `Write the registry into one file: regctl.yaml, the record of what was applied, the
certificates and their keys, users, secrets, and which hosts trust it; with
--with-data the images too. The registry may run, and take pushes, meanwhile.

The file holds private keys, so it is encrypted (age, https://age-encryption.org):
with a passphrase that is asked for twice, or that --passphrase-file gives.
--no-encrypt leaves it in clear, readable by its owner alone.`,
		Example: `  regctl backup --with-data /mnt/usb/registry.backup
  regctl backup registry.backup --passphrase-file /root/passphrase`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error { return a.backup(cmd.Context(), given[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.data, "with-data", false, "the images too")
	f.StringVar(&o.passphraseFile, "passphrase-file", "", "encrypt with the first line of this file (default: it is asked for)")
	f.BoolVar(&o.noEncrypt, "no-encrypt", false, "write it in clear, private keys and all")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be in it, and write nothing")
	return cmd
}

type backupResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	File          string `json:"file"`
	Encrypted     bool   `json:"encrypted"`
	Data          bool   `json:"data"`
	Entries       int    `json:"entries"`
	Bytes         int64  `json:"bytes"` // of what is in it, before it was compressed
}

func (a *app) backup(ctx context.Context, file string, o backupOptions) (err error) {
	if o.noEncrypt && o.passphraseFile != "" {
		return fault.Usage("leave one of them out", "--no-encrypt and --passphrase-file exclude each other")
	}
	if file == "-" {
		return fault.Usage("name a file; cat hands it on: regctl backup F ... && cat F | ssh HOST ...", "a backup goes to a file, not to standard output")
	}
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	if err := r.MayBackUp(file, o.data); err != nil {
		return err
	}
	passphrase, err := a.newPassphrase(ctx, o)
	if err != nil {
		return err
	}
	a.attend(r)
	if o.dryRun {
		planned, err := r.PlanBackup(ctx, file, o.data)
		return firstError(err, a.showChangesIf(err == nil, planned))
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, "regctl backup"); err != nil {
		return err
	}
	m, err := r.Backup(ctx, file, o.data, passphrase)
	if err := firstError(err, r.Unlock()); err != nil {
		return err
	}
	return a.showBackup(file, !passphrase.Empty(), m)
}

func (a *app) showBackup(file string, encrypted bool, m archive.Manifest) error {
	result := backupResult{1, m.Name, file, encrypted, m.Data, len(m.Entries), 0}
	for _, e := range m.Entries {
		result.Bytes += e.Size
	}
	if !encrypted {
		a.ui.Warn("%s holds private keys in clear: whoever reads it can pose as the registry", file)
	}
	return a.ui.Result(result, func(w io.Writer) { fmt.Fprintln(w, file) })
}

// newPassphrase is empty for an archive that is not encrypted.
func (a *app) newPassphrase(ctx context.Context, o backupOptions) (secret.String, error) {
	const hint = "--passphrase-file FILE gives one; --no-encrypt writes private keys in clear"
	switch {
	case o.passphraseFile != "":
		return passphraseFrom(o.passphraseFile)
	case o.noEncrypt:
		return secret.String{}, nil
	case o.dryRun && !a.ui.CanAsk():
		return secret.String{}, fault.Usage(hint, "a backup is encrypted, and there is no passphrase")
	case o.dryRun:
		return secret.String{}, nil
	}
	return a.ui.NewSecret(ctx, "passphrase for the backup", hint)
}
