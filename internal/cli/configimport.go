package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/machine"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

func newConfigImport(a *app) *cobra.Command {
	var dryRun, force bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a regctl.yaml from an existing config.yml",
		Long: `Make DIR/regctl.yaml from an existing config.yml; keys that stood where
distribution ignores them are moved to where they belong, and each move is told.
Users of its htpasswd are copied.
Nothing is started: look at the file, then run regctl apply.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.importConfig(cmd, given[0], dryRun, force)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the regctl.yaml, and write nothing")
	cmd.Flags().BoolVar(&force, "force", false, "overwrite the regctl.yaml that is there")
	return cmd
}

func (a *app) importConfig(cmd *cobra.Command, file string, dryRun, force bool) error {
	ctx := cmd.Context()
	r, err := a.find()
	if err != nil {
		return err
	}
	if r.Exists() && !dryRun && !force {
		return fault.Usage("--force overwrites it, --dry-run prints what would be written", "%s is there already", r.Dir.Spec())
	}
	data, err := a.readInput(file)
	if err != nil {
		return err
	}
	want, moved, err := distconfig.Import(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	driver, secrets := distconfig.MoveStorage(&want)
	if len(secrets) > 0 {
		r.SetStorageSecrets(secrets)
	}
	if err := complete(ctx, &want, r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	yaml, err := spec.Marshal(want)
	if err != nil {
		return err
	}
	for _, m := range moved {
		a.ui.Say("%s:%s", file, m)
	}
	if driver != "" {
		a.ui.Say("%s: storage.%s is now storage.options, its secrets (%d) in %s", file, driver, len(secrets), r.Dir.Join("secrets", "storage"))
	}
	var users []byte
	if want.Auth.HasUsers() {
		path := distconfig.Users(data)
		if users, err = os.ReadFile(path); err != nil {
			a.ui.Warn("%v: nobody could log in until %s is there", err, r.Dir.Htpasswd())
		}
	}
	if dryRun {
		text := distconfig.Mask(yaml)
		if a.ui.Format == "json" {
			return a.ui.Result(importResult{1, r.Dir.Spec(), moved, string(text)}, nil)
		}
		_, err := a.ui.Out.Write(text)
		return err
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, "regctl config import"); err != nil {
		return err
	}
	if err := firstError(r.WriteSpec(ctx, yaml, users), r.Unlock()); err != nil {
		return err
	}
	return a.ui.Result(importResult{1, r.Dir.Spec(), moved, ""}, func(w io.Writer) {
		fmt.Fprintf(w, "%s written; regctl plan shows what it would do, regctl apply does it\n", r.Dir.Spec())
	})
}

// complete fills in what a config.yml does not say.
func complete(ctx context.Context, want *spec.Spec, r *scenario.Registry) (err error) {
	want.Name = r.Name()
	d := spec.Default()
	want.TLS.CertDays, want.TLS.CADays, want.TLS.KeyType = d.TLS.CertDays, d.TLS.CADays, d.TLS.KeyType
	want.Runtime = r.PickRuntime()
	if len(want.Hosts) == 0 {
		if want.Hosts, err = machine.Names(ctx); err != nil {
			return err
		}
	}
	return want.Validate()
}

type importResult struct {
	SchemaVersion int                `json:"schemaVersion"`
	File          string             `json:"file"`
	Moved         []distconfig.Moved `json:"moved"`
	Content       string             `json:"content,omitempty"` // of a dry run
}

// readable refuses a file that was named by a flag and cannot be read; "" is
// none.
func readable(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err == nil {
			if info, _ := f.Stat(); info != nil && info.IsDir() {
				_ = f.Close()
				return fault.Usage("give the path of a file", "%s is a folder", path)
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fault.Usage("give the path of an existing file", "%w", err)
		case err != nil:
			return fault.Usage("make it readable for the user who runs regctl", "%w", err)
		}
		_ = f.Close()
	}
	return nil
}
