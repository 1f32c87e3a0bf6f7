package distconfig

import (
	"strings"

	"github.com/regctl/regctl/internal/spec"
)

// auth gives htpasswd and token to regctl's own keys, where those can say it; anything
// else stays distribution's, and goes on working.
func (i *importer) auth(s *spec.Spec) error {
	section, _ := i.config["auth"].(map[string]any)
	if len(section) != 1 {
		return nil
	}
	for kind, value := range section {
		settings, _ := value.(map[string]any)
		want, keys := authOf(kind, settings)
		if keys == nil || len(settings) != len(keys) {
			return nil
		}
		// As before, although init would ask.
		want.AllowPlaintext = s.TLS.Mode == spec.TLSNone || strings.HasPrefix(want.TokenRealm, "http:")
		if !sayable(*s, want) {
			return nil
		}
		for _, k := range keys {
			path := "auth." + kind + "." + k.from
			i.note(i.lineOf(path), path, k.to, k.note)
		}
		s.Auth = want
	}
	delete(i.config, "auth")
	return nil
}

// authKey is where a setting of auth goes.
type authKey struct{ from, to, note string }

// authOf has no keys for what regctl has none for.
func authOf(kind string, settings map[string]any) (a spec.Auth, keys []authKey) {
	text := func(name string) string { s, _ := settings[name].(string); return s }
	switch kind {
	case "htpasswd":
		a = spec.Auth{Mode: spec.AuthHtpasswd, Realm: text("realm")}
		return a, []authKey{{"realm", "auth.realm", ""}, {"path", "auth/htpasswd of the registry's directory", "the users are those of " + text("path")}}
	case "token":
		a = spec.Auth{
			Mode: spec.AuthToken, TokenRealm: text("realm"), TokenService: text("service"), TokenIssuer: text("issuer"),
			TokenRootCA: text("rootcertbundle"), TokenJWKS: text("jwks"),
		}
		keys = []authKey{{"realm", "auth.tokenRealm", ""}, {"service", "auth.tokenService", ""}, {"issuer", "auth.tokenIssuer", ""}}
		if a.TokenRootCA != "" {
			keys = append(keys, authKey{"rootcertbundle", "auth.tokenRootCA", ""})
		}
		if a.TokenJWKS != "" {
			keys = append(keys, authKey{"jwks", "auth.tokenJWKS", ""})
		}
	}
	return a, keys
}

// sayable reports whether regctl.yaml takes that.
func sayable(s spec.Spec, a spec.Auth) bool {
	whole := spec.Default()
	whole.Hosts, whole.Auth = []string{"registry.test"}, a
	if s.TLS.Mode == spec.TLSNone {
		whole.TLS.Mode = spec.TLSNone
	}
	return whole.Validate() == nil
}

// Users is the file of users that a config.yml names, or "".
func Users(data []byte) string {
	doc, _, err := readDocument(data)
	if err != nil || doc == nil {
		return ""
	}
	if n := find(doc, "auth.htpasswd.path"); n != nil {
		return n.Value
	}
	return ""
}
