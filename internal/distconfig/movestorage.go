package distconfig

import (
	"fmt"
	"maps"
	"slices"

	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
)

// MoveStorage takes a cloud storage's driver out of an imported spec's Config, to
// where regctl.yaml has it, and returns its secrets, which belong into no spec. The
// driver is named, "" if nothing was moved. What the registry does stays the same:
// redirects that were on are on. A service account written out for gcs stays where it
// is, for it is more than parameters.
func MoveStorage(s *spec.Spec) (driver string, secrets []parameters.Parameter) {
	storage, _ := s.Config["storage"].(map[string]any)
	for section, name := range map[string]string{"s3": spec.StorageS3, "s3aws": spec.StorageS3, "azure": spec.StorageAzure, "gcs": spec.StorageGCS} {
		options, ok := storage[section].(map[string]any)
		if _, account := options["credentials"]; !ok || account && section == "gcs" {
			continue
		}
		delete(storage, section)
		secrets = takeSecrets(options, "")
		s.Storage = spec.Storage{Driver: name, Options: options}
		if storage["redirect"] == nil {
			storage["redirect"] = map[string]any{"disable": false}
		}
		return name, secrets
	}
	return "", nil
}

// takeSecrets removes the secrets from a driver's parameters, sections that held
// nothing else included.
func takeSecrets(options map[string]any, path string) (secrets []parameters.Parameter) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		at := join(path, name)
		if below, ok := options[name].(map[string]any); ok {
			secrets = append(secrets, takeSecrets(below, at)...)
			if len(below) == 0 {
				delete(options, name)
			}
			continue
		}
		if !IsSecret(name) {
			continue
		}
		if text := fmt.Sprint(options[name]); options[name] != nil && text != "" {
			secrets = append(secrets, parameters.Parameter{Name: at, Value: secret.New(text)})
		}
		delete(options, name)
	}
	return secrets
}
