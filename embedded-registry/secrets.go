package embeddedregistry

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/parameters"
)

// secretsName is the file beside config.yml that holds those parameters of the
// storage driver that are secrets; config.yml need not hold them then.
const secretsName = "storage-secrets"

// readSecrets lays the file at path, if there is one, over the driver's parameters.
func readSecrets(path string, c *configuration.Configuration) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	secrets, err := parameters.Parse(path, data)
	if err == nil {
		lay(c, secrets)
	}
	return err
}

func lay(c *configuration.Configuration, secrets []parameters.Parameter) {
	driver := c.Storage.Type()
	if c.Storage[driver] == nil {
		c.Storage[driver] = configuration.Parameters{}
	}
	for _, p := range secrets {
		section, name, nested := strings.Cut(p.Name, ".")
		if !nested {
			c.Storage[driver][section] = p.Value.Reveal()
			continue
		}
		below, ok := c.Storage[driver][section].(map[any]any)
		if !ok {
			below = map[any]any{}
			c.Storage[driver][section] = below
		}
		below[name] = p.Value.Reveal()
	}
}
