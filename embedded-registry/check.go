package embeddedregistry

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/internal/fault"
)

// What this build holds; storage drivers and auth backends are imported in app.go.
var (
	drivers            = append([]string{"filesystem", "inmemory", "s3", "s3aws", "azure"}, gcsDriver...)
	authTypes          = []string{"htpasswd", "none", "token"}
	storageMiddlewares = []string{"redirect", "rewrite"}
)

func checkLog(c *configuration.Configuration) error {
	if f := c.Log.Formatter; f != "" && !slices.Contains([]string{"text", "json", "logstash"}, f) {
		return fault.Usage("use text, json or logstash", "log.formatter: unknown formatter %q", f)
	}
	for _, h := range c.Log.Hooks {
		if h.Disabled {
			continue
		}
		if h.Type != "mail" { // NewApp ignores any other without a word
			return fault.Usage("the one type is mail", "log.hooks: unknown type %q", h.Type)
		}
		for _, l := range h.Levels {
			if _, err := logrus.ParseLevel(l); err != nil {
				return fault.Usage("use panic, fatal, error, warn, info or debug", "log.hooks.levels: unknown level %q", l)
			}
		}
	}
	return nil
}

func checkHTTP(c *configuration.Configuration) error {
	h := c.HTTP
	if !slices.Contains([]string{"", "tcp", "unix"}, h.Net) {
		return fault.Usage("use tcp or unix", "http.net: unknown network %q", h.Net)
	}
	if h.DrainTimeout < 0 {
		return fault.Usage("", "http.draintimeout: is negative")
	}
	t := h.TLS
	switch {
	case (t.Certificate == "") != (t.Key == ""):
		return fault.Usage("set both or neither", "http.tls: certificate and key go together")
	case t.Certificate == "" && (t.MinimumTLS != "" || len(t.CipherSuites)+len(t.ClientCAs) > 0 || t.ClientAuth != ""):
		// distribution would serve plain HTTP and say nothing.
		return fault.Usage("set http.tls.certificate and key", "http.tls: has settings but no certificate")
	case t.ClientAuth != "" && len(t.ClientCAs) == 0:
		// distribution would let every client in and say nothing.
		return fault.Usage("name the clients' CA there", "http.tls.clientauth: needs http.tls.clientcas")
	}
	if _, ok := tlsVersions[t.MinimumTLS]; !ok {
		return fault.Usage("use tls1.2 or tls1.3", "http.tls.minimumtls: unknown version %q", t.MinimumTLS)
	}
	known := cipherSuites()
	for _, name := range t.CipherSuites {
		if _, ok := known[name]; !ok {
			return fault.Usage("", "http.tls.ciphersuites: unknown cipher suite %q", name)
		}
	}
	return nil
}

// cipherSuites maps the names that Go knows, insecure ones too, as distribution does.
func cipherSuites() map[string]uint16 {
	m := map[string]uint16{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		m[s.Name] = s.ID
	}
	return m
}

// NeedDriver refuses storage whose driver this build does not hold, as a usage fault that
// names the build that does.
func NeedDriver(name string) error {
	switch {
	case slices.Contains(drivers, name):
		return nil
	case name == "gcs":
		return fault.Usage("take the release's archive regctl-gcs for this system, or build with -tags gcs", "storage.gcs: this build has no such storage driver, it has a build of its own")
	}
	return fault.Usage("use "+strings.Join(drivers, " or "), "storage.%s: this build has no such storage driver", name)
}

// checkStorage refuses what NewApp would panic on, with the key's name.
func checkStorage(c *configuration.Configuration) error {
	s := c.Storage
	if err := NeedDriver(s.Type()); err != nil {
		return err
	}
	if err := checkPurging(s["maintenance"]); err != nil {
		return err
	}
	if v, set := s["maintenance"]["readonly"]; set {
		m, ok := v.(map[any]any)
		if ok && m["enabled"] != nil {
			_, ok = m["enabled"].(bool)
		}
		if !ok {
			return fault.Usage("write `readonly: {enabled: true}`", "storage.maintenance.readonly: has no enabled that is true or false")
		}
	}
	if r, set := s["redirect"]; set {
		if _, ok := r["disable"].(bool); !ok {
			return fault.Usage("write `redirect: {disable: true}`", "storage.redirect: has no disable that is true or false")
		}
	}
	if v, set := s["tag"]["concurrencylimit"]; set {
		if n, ok := v.(int); !ok || n < 0 {
			return fault.Usage("", "storage.tag.concurrencylimit: want a number, 0 or more")
		}
	}
	if s["cache"]["blobdescriptor"] == "redis" && len(c.Redis.Options.Addrs) == 0 {
		return fault.Usage("set redis.addrs", "storage.cache.blobdescriptor: redis needs redis.addrs")
	}
	return nil
}

func checkPurging(maintenance configuration.Parameters) error {
	v, set := maintenance["uploadpurging"]
	if !set {
		return nil
	}
	const example = "write `uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}`, all four"
	m, ok := v.(map[any]any)
	if !ok {
		return fault.Usage(example, "storage.maintenance.uploadpurging: has no keys")
	}
	if m["enabled"] == false {
		return nil
	}
	for _, key := range []string{"age", "interval"} {
		text, _ := m[key].(string)
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			return fault.Usage(example, "storage.maintenance.uploadpurging.%s: want a duration, not %v", key, m[key])
		}
	}
	if _, ok := m["dryrun"].(bool); !ok {
		return fault.Usage(example, "storage.maintenance.uploadpurging.dryrun: want true or false, not %v", m["dryrun"])
	}
	return nil
}

func checkAuth(c *configuration.Configuration) error {
	if t := c.Auth.Type(); t != "" && !slices.Contains(authTypes, strings.ToLower(t)) {
		return fault.Usage("use "+strings.Join(authTypes, ", "), "auth.%s: this build has no such authentication", t)
	}
	return nil
}

// checkHtpasswd refuses a missing file: distribution would make one, with a password
// that it logs.
func checkHtpasswd(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Fail("`regctl user add NAME` makes it", "auth.htpasswd.path: %w", err)
	}
	if err != nil {
		return fault.Fail("", "auth.htpasswd.path: %w", err)
	}
	return f.Close()
}

func checkMiddleware(c *configuration.Configuration) error {
	for _, point := range slices.Sorted(maps.Keys(c.Middleware)) {
		for _, m := range c.Middleware[point] {
			if m.Disabled {
				continue // dropped in newApp; NewApp would use it all the same
			}
			if point != "storage" || !slices.Contains(storageMiddlewares, m.Name) {
				return fault.Usage("remove it", "middleware.%s: this build has no middleware %q", point, m.Name)
			}
		}
	}
	return nil
}
