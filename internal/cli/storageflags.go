package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

// storageFlags say where the images are kept.
type storageFlags struct {
	driver, secretFile string
	options            []string
	secrets            []parameters.Parameter // of secretFile, once over has read it
}

func (s *storageFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.driver, "storage", spec.StorageFilesystem, "filesystem, s3, azure, gcs (a build of its own), oss and swift (by their S3 interfaces), or inmemory (for tests: gone when the registry stops)")
	f.StringArrayVar(&s.options, "storage-opt", nil, "KEY=VALUE, a parameter of the storage's driver in distribution's own names, such as bucket=images; repeat it")
	f.StringVar(&s.secretFile, "storage-secret-file", "", "a file of such parameters, one a line; those that are secret, such as secretkey, are taken from there alone")
	_ = cmd.RegisterFlagCompletionFunc("storage", cobra.FixedCompletions([]string{
		spec.StorageFilesystem, spec.StorageS3, spec.StorageAzure, spec.StorageGCS, spec.StorageOSS, spec.StorageSwift, spec.StorageInMemory,
	}, cobra.ShellCompDirectiveNoFileComp))
}

func (s *storageFlags) over(given func(string) bool, out *spec.Storage) error {
	out.Options = cloneMap(out.Options)
	if given("storage") {
		if s.driver != out.Driver {
			out.Options = nil // another driver's
		}
		out.Driver = s.driver
	}
	for _, option := range s.options {
		name, _, _ := strings.Cut(option, "=")
		if distconfig.IsSecret(lastName(name)) {
			return fault.Usage("put that line into a file for --storage-secret-file", "--storage-opt %s: everybody on this machine can read a command line", name)
		}
		if err := distconfig.SetStorage(out, option); err != nil {
			return fmt.Errorf("--storage-opt %w", err)
		}
	}
	if err := s.readSecrets(out); err != nil {
		return err
	}
	if len(out.Options) == 0 {
		out.Options = nil
	}
	return nil
}

// readSecrets sorts the file out: what is no secret belongs to regctl.yaml.
func (s *storageFlags) readSecrets(out *spec.Storage) error {
	if s.secretFile == "" {
		return nil
	}
	if !out.Remote() {
		return fault.Usage("add --storage s3, azure, gcs, oss or swift", "--storage-secret-file: %s storage has no secrets", out.Driver)
	}
	if err := readable(s.secretFile); err != nil {
		return err
	}
	data, err := os.ReadFile(s.secretFile)
	if err != nil {
		return err
	}
	all, err := parameters.Parse(s.secretFile, data)
	if err != nil {
		return err
	}
	s.secrets = []parameters.Parameter{}
	for _, p := range all {
		if distconfig.IsSecret(lastName(p.Name)) {
			s.secrets = append(s.secrets, p)
			continue
		}
		if err := distconfig.SetStorage(out, p.Name+"="+p.Value.Reveal()); err != nil {
			return fmt.Errorf("%s:%d: %w", s.secretFile, p.Line, err)
		}
	}
	return distconfig.CheckSecrets(*out, s.secretFile, s.secrets)
}

// settle has r go by the secrets that were given. Of a registry that exists they must
// be its own.
func (s *storageFlags) settle(r *scenario.Registry) error {
	if s.secrets == nil {
		return nil
	}
	if !r.Exists() {
		r.SetStorageSecrets(s.secrets)
		return nil
	}
	now, err := r.StorageSecrets()
	if err != nil {
		return err
	}
	if string(parameters.Format(now)) != string(parameters.Format(s.secrets)) {
		return fault.Usage(fmt.Sprintf("write them into %s and run regctl apply", r.Dir.Join("secrets", "storage")),
			"%s is a registry already, and has other storage secrets than %s", r.Dir, s.secretFile)
	}
	return nil
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
