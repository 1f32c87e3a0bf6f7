package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/archive"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
)

func newRestore(a *app) *cobra.Command {
	var passphraseFile string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the registry again that backup wrote, on this machine or another",
		Long: `Make the registry again that backup wrote into FILE, and start it: with the same
CA, so that hosts trust it as before once its name leads here, the same users and,
if they were in the backup, the same images. It asks first; --yes goes ahead.

FILE is read to its end before anything is touched. One that is damaged, or that the
passphrase does not open, is refused, and so is a place where there is a registry.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.restore(cmd.Context(), given[0], passphraseFile, dryRun)
		},
	}
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "open it with the first line of this file (default: it is asked for)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read all of FILE and print what would be written, and write nothing")
	return cmd
}

func (a *app) restore(ctx context.Context, path, passphraseFile string, dryRun bool) error {
	file, err := os.Open(path)
	if err != nil {
		return fault.Usage("give the path of a file that you may read", "%w", err)
	}
	defer file.Close()
	passphrase, err := a.passphraseOf(ctx, file, passphraseFile)
	if err != nil {
		return err
	}
	a.ui.Say("reading %s", path)
	archived, err := scenario.ReadArchive(ctx, file, passphrase)
	if err != nil {
		return err
	}
	r, err := a.findFor(archived.Name)
	if err != nil {
		return err
	}
	a.attend(r)
	done, err := r.MayRestore(ctx, archived)
	if err != nil {
		return err
	}
	if tls := archived.Spec.TLS; !done && tls.Mode == spec.TLSFiles {
		if err := readable(tls.Cert, tls.Key, tls.CACert); err != nil {
			return fault.Usage("copy them here from the old machine, to the same paths", "--tls files: %w", err)
		}
	}
	if dryRun && !done {
		return a.showChanges(r.PlanRestore(archived))
	}
	if !done {
		when := archived.CreatedAt.Local().Format("2006-01-02 15:04")
		if err := a.ui.Confirm(ctx, fmt.Sprintf("restore registry %s of %s into %s, and start it?", archived.Name, when, r.Dir)); err != nil {
			return err
		}
		a.ui.Say("writing %s", r.Dir)
		if err := r.Restore(ctx, archived); err != nil {
			return err
		}
	}
	return settled(func() error { return a.startRestored(ctx, r.Dir, dryRun, done) })
}

// findFor is findNew for a registry that has a name.
func (a *app) findFor(name string) (*scenario.Registry, error) {
	dir, err := statedir.FindNew(a.flag.dir, name, a.getenv, os.Geteuid())
	if err != nil {
		return nil, err
	}
	if given := a.flag.name; given != "" && given != name {
		return nil, fault.Usage("leave --name out; --dir names another place", "the backup is of the registry %s, not %s", name, given)
	}
	return free(a.openDir(dir, name))
}

// startRestored starts what was restored, which is not taken back when that fails.
func (a *app) startRestored(ctx context.Context, dir statedir.Dir, dryRun, done bool) error {
	r, err := a.openDir(dir, "")
	if err != nil {
		return err
	}
	changed, err := a.apply(ctx, r, applyOptions{command: "regctl restore", dryRun: dryRun})
	switch {
	case err != nil && !done:
		a.ui.Warn("%s is restored, but not started: regctl start tries again", dir)
		return err
	case err != nil || dryRun:
		return err
	case !changed:
		a.ui.Say("nothing to do: %s is as wanted", dir)
	}
	return a.showInit(r, changed, nil)
}

// passphraseOf is empty for an archive that needs none.
func (a *app) passphraseOf(ctx context.Context, file *os.File, passphraseFile string) (secret.String, error) {
	if passphraseFile != "" {
		return passphraseFrom(passphraseFile)
	}
	encrypted := archive.Encrypted(bufio.NewReader(file))
	if _, err := file.Seek(0, 0); err != nil {
		return secret.String{}, fault.Usage("save it into a file first: it is read twice", "%s: %w", file.Name(), err)
	}
	if !encrypted {
		return secret.String{}, nil
	}
	return a.ui.Secret(ctx, "passphrase of "+file.Name(), "--passphrase-file FILE gives it")
}
