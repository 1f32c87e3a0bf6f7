package distconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/spec"
)

// SetStorage puts one of a storage driver's parameters, written KEY=VALUE in
// distribution's names, into a spec's options, as Set does with Config.
func SetStorage(s *spec.Storage, assignment string) error {
	name, _, ok := strings.Cut(assignment, "=")
	if !ok || name == "" {
		return fault.Usage("for example bucket=images", "%q is not KEY=VALUE", name)
	}
	driver, _ := s.Backend()
	options := s.Options
	if options == nil {
		options = map[string]any{}
	}
	if err := Set(map[string]any{"storage": map[string]any{driver: options}}, "storage."+driver+"."+assignment); err != nil {
		return err
	}
	s.Options = options
	return nil
}

// CheckSecrets refuses what is no parameter of the driver. file is their file's name,
// for errors, which show no value.
func CheckSecrets(s spec.Storage, file string, secrets []parameters.Parameter) error {
	driver, _ := s.Backend()
	for _, p := range secrets {
		k, err := lookUp(append([]string{"storage", driver}, strings.Split(p.Name, ".")...))
		switch {
		case err != nil:
			return fault.Usage(fault.Hint(err), "%s:%d: %w", file, p.Line, err)
		case k.keys != nil || k.each != nil:
			return fault.Usage(documented, "%s:%d: %s takes keys, not one value", file, p.Line, p.Name)
		}
	}
	return nil
}

// KeepsSecrets reports whether a registry reads its storage's secrets from a file of
// their own, so that config.yml need not hold them: the embedded one does, and S3's
// client reads AWS's.
func KeepsSecrets(s spec.Storage, f Flavour) bool {
	driver, _ := s.Backend()
	return f == Embedded || driver == spec.StorageS3
}

// layStorage puts the driver's parameters into the document's storage.
func layStorage(doc *yaml.Node, s spec.Storage, env Env) error {
	driver, options := s.Backend()
	if name := secretIn(options, ""); name != "" {
		return fault.Usage("write it into DIR/secrets/storage as "+name+"=..., a line of its own; init does that with --storage-secret-file", "storage.options.%s: is a secret, and regctl.yaml no place for it", name)
	}
	if !s.Remote() && len(options) == 0 {
		return nil
	}
	config := map[string]any{"storage": map[string]any{driver: options}}
	if env.Flavour == Stock2 {
		delete(options, "forcepathstyle") // its style with any regionendpoint
	}
	if _, said := options["credentials"]; driver == spec.StorageAzure && !said && env.Flavour != Stock2 {
		kind := "default_credentials"
		if !parameters.Get(env.Secrets, "accountkey").Empty() {
			kind = "shared_key"
		}
		options["credentials"] = map[string]any{"type": kind}
	}
	if !KeepsSecrets(s, env.Flavour) {
		for _, p := range env.Secrets {
			names := append([]string{"storage", driver}, strings.Split(p.Name, ".")...)
			if _, err := assign(config, newSchema(env.Flavour), names, p.Value.Reveal()); err != nil {
				return err
			}
		}
	}
	var overlay yaml.Node
	if err := overlay.Encode(config); err != nil {
		return fault.Usage("mend storage.options in regctl.yaml", "storage.options: %w", err)
	}
	if err := refuseOwned(doc, &overlay); err != nil {
		return err
	}
	schema := newSchema(env.Flavour)
	arrange(&overlay, schema)
	merge(doc, &overlay, schema)
	return nil
}

// secretIn is the path of the first secret in a driver's parameters, or "".
func secretIn(options map[string]any, path string) string {
	for name, v := range options {
		at := join(path, name)
		if below, ok := v.(map[string]any); ok {
			at = secretIn(below, at)
		} else if !IsSecret(name) {
			at = ""
		}
		if at != "" {
			return at
		}
	}
	return ""
}
