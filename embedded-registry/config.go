package embeddedregistry

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/internal/fault"
)

// Check tells whether Serve would take this config.yml, as far as its text shows:
// it parses as distribution parses it, and no key is set that distribution would
// honour and we do not. It opens no file and starts nothing. REGISTRY_* variables
// are not applied.
func Check(configYAML []byte) error {
	config, err := parse(configYAML)
	if err != nil {
		return err
	}
	return check(config)
}

func check(config *configuration.Configuration) error {
	for _, c := range []func(*configuration.Configuration) error{
		checkKeys, checkLog, checkHTTP, checkStorage, checkAuth, checkMiddleware, checkProxy,
	} {
		if err := c(config); err != nil {
			return err
		}
	}
	return nil
}

// load reads and checks all that o names, and maps paths with o.Rewrite.
func load(o Options) (*configuration.Configuration, extra, error) {
	data := o.ConfigData
	name := o.ConfigPath
	if name == "" {
		name = "config.yml"
	}
	if data == nil {
		var err error
		if data, err = os.ReadFile(o.ConfigPath); err != nil {
			return nil, extra{}, err
		}
	}
	config, err := parse(data)
	if err == nil {
		err = check(config)
	}
	if err != nil {
		return nil, extra{}, fmt.Errorf("%s: %w", name, err)
	}
	var e extra
	if o.ConfigPath != "" {
		if err := readSecrets(filepath.Join(filepath.Dir(o.ConfigPath), secretsName), config); err != nil {
			return nil, extra{}, err
		}
		if e, err = readExtra(filepath.Join(filepath.Dir(o.ConfigPath), extraName)); err != nil {
			return nil, extra{}, err
		}
	}
	if o.Rewrite != nil {
		rewritePaths(config, o.Rewrite)
	}
	return config, e, nil
}

// ensureSecret makes up an http.secret where there is none, as NewApp would; but
// NewApp's warning recommends an environment variable that we ignore.
func ensureSecret(c *configuration.Configuration) {
	if c.HTTP.Secret == "" && c.Proxy.RemoteURL == "" {
		c.HTTP.Secret = rand.Text()
		logrus.Warn("no http.secret: made one up, so uploads under way end with this process, and replicas do not work")
	}
}

// parse is configuration.Parse without the environment: a registry's configuration
// is its file, and Kubernetes alone sets REGISTRY_PORT and the like in every
// container beside a service named registry. No variable's name begins as the
// prefix given here.
func parse(data []byte) (config *configuration.Configuration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Usage("", "%v", p)
		}
	}()
	parser := configuration.NewParser("\x00", []configuration.VersionedParseInfo{{
		Version:        configuration.CurrentVersion,
		ParseAs:        reflect.TypeFor[configuration.Configuration](),
		ConversionFunc: complete,
	}})
	config = new(configuration.Configuration)
	if err := parser.Parse(data, config); err != nil {
		// yaml lists its complaints on lines of their own.
		return nil, fault.Usage("`regctl config validate FILE` names what is wrong, line by line", "%s", strings.ReplaceAll(err.Error(), "\n ", ""))
	}
	return config, nil
}

// complete fills in defaults as configuration.Parse does in v3.1.2.
func complete(parsed any) (any, error) {
	c := parsed.(*configuration.Configuration)
	if c.Log.Level == "" {
		c.Log.Level = c.Loglevel //nolint:staticcheck // old files have it
	}
	if c.Log.Level == "" {
		c.Log.Level = "info"
	}
	c.Loglevel = "" //nolint:staticcheck // old files have it
	if c.Catalog.MaxEntries <= 0 {
		c.Catalog.MaxEntries = 1000
	}
	if c.Tags.MaxTags < 0 {
		return nil, errors.New("tags.maxtags: must not be negative")
	}
	if c.Tags.MaxTags == 0 {
		c.Tags.MaxTags = 1000
	}
	if c.Storage.Type() == "" {
		return nil, errors.New("no storage configuration provided")
	}
	return c, nil
}

// warnOfEnvironment names the variables that distribution would have applied.
func warnOfEnvironment(environ []string) {
	var names []string
	for _, e := range environ {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "REGISTRY_") {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		logrus.Warnf("ignored, because config.yml alone configures this registry: %s", strings.Join(names, ", "))
	}
}

// rewritePaths maps every file path in the configuration.
func rewritePaths(c *configuration.Configuration, rewrite func(string) string) {
	one := func(p *string) {
		if *p != "" {
			*p = rewrite(*p)
		}
	}
	all := func(paths []string) {
		for i := range paths {
			one(&paths[i])
		}
	}
	param := func(m configuration.Parameters, key string) {
		if p, ok := m[key].(string); ok && p != "" {
			m[key] = rewrite(p)
		}
	}
	t := &c.HTTP.TLS
	one(&t.Certificate)
	one(&t.Key)
	all(t.ClientCAs)
	if c.HTTP.Net == "unix" {
		one(&c.HTTP.Addr)
	}
	one(&c.Redis.TLS.Certificate)
	one(&c.Redis.TLS.Key)
	all(c.Redis.TLS.RootCAs)
	for i := range c.Health.FileCheckers {
		one(&c.Health.FileCheckers[i].File)
	}
	param(c.Auth["htpasswd"], "path")
	param(c.Auth["token"], "rootcertbundle")
	param(c.Auth["token"], "jwks")
	param(c.Storage["filesystem"], "rootdirectory")
	param(c.Storage["gcs"], "keyfile")
}
