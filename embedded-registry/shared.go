package embeddedregistry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"
)

// SharedName is the file beside a registry's unix socket that tells by SharedSum what it
// began with.
const SharedName = "shared.sum"

// SharedSum is a digest of what replicas must have in common, the secret that signs
// uploads and the cache: those that serve one storage must all have the same.
func SharedSum(configYAML []byte) (string, error) {
	config, err := parse(configYAML)
	if err != nil {
		return "", err
	}
	return sharedSum(config), nil
}

func sharedSum(c *configuration.Configuration) string {
	cache := c.Redis.Options
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", c.HTTP.Secret, strings.Join(cache.Addrs, ","), cache.DB))
	return hex.EncodeToString(sum[:])
}

// noteShared writes that file, for the registry's owner alone.
func noteShared(c *configuration.Configuration) {
	if c.HTTP.Net != "unix" {
		return
	}
	path := filepath.Join(filepath.Dir(c.HTTP.Addr), SharedName)
	if err := os.WriteFile(path, []byte(sharedSum(c)+"\n"), 0o600); err != nil {
		logrus.Warnf("%s: %v", path, err)
	}
}
