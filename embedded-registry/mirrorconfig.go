package embeddedregistry

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/fault"
)

// uncached is a configuration that has nothing remembered of the storage. A layer that
// expires goes, though other repositories have it too; distribution forgets it for the
// one that it expired in, and serves it empty in the others if it remembers it there.
func uncached(config *configuration.Configuration) *configuration.Configuration {
	c := copied(config)
	c.Storage = maps.Clone(config.Storage)
	delete(c.Storage, "cache")
	return c
}

// storedOnly is a configuration for the same storage.
func storedOnly(config *configuration.Configuration) *configuration.Configuration {
	c := uncached(config)
	c.Proxy = configuration.Proxy{}
	c.HTTP.Secret = "unused: nothing is uploaded here"
	c.Storage["maintenance"] = configuration.Parameters{
		"uploadpurging": map[any]any{"enabled": false},
		"readonly":      map[any]any{"enabled": true},
	}
	return c
}

// copied is a configuration that newApp may change and leave config as it is.
func copied(config *configuration.Configuration) *configuration.Configuration {
	c := *config
	c.Middleware = maps.Clone(config.Middleware)
	for point, list := range c.Middleware {
		c.Middleware[point] = slices.Clone(list)
	}
	return &c
}

func checkProxy(c *configuration.Configuration) error {
	if c.Proxy.RemoteURL == "" {
		return nil
	}
	u, err := url.Parse(c.Proxy.RemoteURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fault.Usage("it looks like https://registry-1.docker.io", "proxy.remoteurl: %q is no URL of a registry", c.Proxy.RemoteURL)
	}
	return nil
}

// trustUpstream has this process trust a CA beside the system's. Distribution asks
// an upstream by way of http.DefaultTransport and has no setting for it.
func trustUpstream(path string) error {
	pem, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fault.Usage("give a CA certificate in PEM", "%s: holds no certificate", path)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	http.DefaultTransport = transport
	return nil
}
