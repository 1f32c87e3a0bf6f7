package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/trustkit"
)

func newCertExport(a *app) *cobra.Command {
	var kit string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the CA, or write a kit that makes hosts trust it",
		Long: `Print the CA that clients must trust, in PEM. With --kit, write into DIR what
makes hosts trust it that regctl cannot reach: trust-kit.sh for Linux,
trust-kit.ps1 for Docker Desktop, a cloud-init file and an Ansible playbook. Both
scripts check the CA's fingerprint before they place anything, and undo with
--remove (-Remove on Windows).`,
		Example: `  regctl cert export > ca.crt
  regctl cert export --kit kit && scp kit/trust-kit.sh HOST: && ssh HOST sudo sh trust-kit.sh`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("kit") {
				return a.exportKit(kit, dryRun)
			}
			return a.exportCA()
		},
	}
	cmd.Flags().StringVar(&kit, "kit", "", "write the trust kit into this folder")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the names of the kit's files, and write none")
	return cmd
}

type caResult struct {
	SchemaVersion int      `json:"schemaVersion"`
	Endpoint      string   `json:"endpoint"`
	Fingerprint   string   `json:"fingerprint"` // SHA-256
	CA            string   `json:"ca,omitempty"`
	Files         []string `json:"files,omitempty"`
}

func (a *app) exportCA() error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	ca, info, err := r.CA()
	if err != nil {
		return err
	}
	a.ui.Say("SHA-256 %s", info.Fingerprint)
	return a.ui.Result(caResult{1, r.Spec.Endpoint(), info.Fingerprint, string(ca), nil}, func(w io.Writer) {
		_, _ = w.Write(ca)
	})
}

func (a *app) exportKit(dir string, dryRun bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	files, info, err := r.Kit()
	if err != nil {
		return err
	}
	if !dryRun {
		if err := writeKit(dir, files); err != nil {
			return err
		}
	}
	result := caResult{1, r.Spec.Endpoint(), info.Fingerprint, "", nil}
	for _, f := range files {
		result.Files = append(result.Files, filepath.Join(dir, f.Name))
	}
	return a.ui.Result(result, func(w io.Writer) {
		for _, path := range result.Files {
			fmt.Fprintln(w, path)
		}
		a.ui.Say("give the hosts' operators the CA's SHA-256 by another way than the kit: %s", info.Fingerprint)
	})
}

// writeKit makes the folder if its parent is there. Files of an earlier kit are
// replaced; a folder that holds anything else is left alone.
func writeKit(dir string, files []trustkit.File) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // nothing in it is secret
		return fault.Usage("make the folder above it first", "%w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Usage("name a folder", "%w", err)
	}
	var others []string
	for _, e := range entries {
		if !slices.ContainsFunc(files, func(f trustkit.File) bool { return f.Name == e.Name() }) {
			others = append(others, e.Name())
		}
	}
	if len(others) > 0 {
		return fault.Usage("name an empty folder, or one that is not there yet", "%s holds something that is not of a kit: %s",
			dir, strings.Join(others[:min(3, len(others))], ", "))
	}
	for _, f := range files {
		mode := fs.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Data, mode); err != nil {
			return err
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}
