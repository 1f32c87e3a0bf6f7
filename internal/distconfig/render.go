package distconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/templates"
)

// Render gives config.yml: regctl's defaults and what the spec says, with
// spec.Config laid over. Mappings merge key by key, anything else replaces what
// was there, and null takes it away. A storage driver in spec.Config replaces
// the spec's own; an http.secret there goes before env's. Keys that regctl.yaml
// has a key of its own for are refused as a usage fault that names it. The
// result is in a stable order and not yet checked: see Check.
func Render(s spec.Spec, env Env) ([]byte, error) {
	base, err := renderBase(s, env)
	if err != nil {
		return nil, err
	}
	schema := newSchema(env.Flavour)
	overlay, err := overlayOf(s.Config, env.Flavour)
	if err != nil {
		return nil, err
	}
	doc := base.Content[0]
	if err := refuseOwned(doc, overlay); err != nil {
		return nil, err
	}
	if overlay != nil {
		arrange(overlay, schema)
		makeRoom(doc, overlay)
		merge(doc, overlay, schema)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(base); err != nil {
		return nil, fmt.Errorf("config.yml: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

// renderBase runs the template and gives the document it makes.
func renderBase(s spec.Spec, env Env) (*yaml.Node, error) {
	if s.Auth.Foreign() && s.Auth.TokenJWKS != "" && env.Flavour == Stock2 {
		return nil, fault.Usage("give the certificate with --token-root-ca, or use registry 3", "auth.tokenJWKS (--token-jwks): registry 2 reads no key sets")
	}
	t, err := template.New("config.yml.tmpl").Funcs(template.FuncMap{"quote": quote}).
		ParseFS(templates.FS, "config.yml.tmpl")
	if err != nil {
		return nil, err
	}
	redis, err := redisOf(s, env.Flavour)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	users, realm := "", ""
	// The embedded registry has it in regctl-serve.yaml, which it watches.
	if s.Auth.Mode == spec.AuthHtpasswd && !s.ProxyAsks() && env.Flavour != Embedded {
		users, realm = path.Join(env.Serve, "htpasswd"), s.Auth.RealmOrDefault()
	}
	mirror, err := proxyOf(s, env)
	if err != nil {
		return nil, err
	}
	err = t.Execute(&text, struct {
		Env
		Driver, Cert, Key string
		Remote            bool // clients need not reach the storage
		TLS, HTTP2        bool
		Users, Realm      string // htpasswd; "" where distribution's is not asked
		Cache             string // "" is none
		Redis             *spec.RedisServer
		RedisCA           string
		Old               bool // the keys of 2.8
		Token             bool
		Auth              spec.Auth
		RootCA, JWKS      string // as the registry sees them
		Mirror            *proxy
	}{
		Cache: cacheOf(s), Redis: redis, RedisCA: path.Join(env.Serve, RedisCA), Old: env.Flavour == Stock2,
		Env: env, Driver: s.Storage.Driver, Remote: s.Storage.Remote(), HTTP2: s.HTTP2, TLS: s.EndpointTLS(),
		Cert:  path.Join(env.Serve, "tls", "current", "crt"),
		Key:   path.Join(env.Serve, "tls", "current", "key"),
		Users: users, Realm: realm, Mirror: mirror, Token: s.Auth.Foreign(), Auth: s.Auth,
		RootCA: path.Join(env.Serve, "token-ca.pem"), JWKS: path.Join(env.Serve, "token-jwks.json"),
	})
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &doc); err != nil {
		return nil, fmt.Errorf("config.yml.tmpl: %w", err)
	}
	unquote(&doc)
	return &doc, layStorage(doc.Content[0], s.Storage, env)
}

// quote makes a YAML scalar of any text: JSON's strings are YAML's.
func quote(text string) (string, error) {
	b, err := json.Marshal(text)
	return string(b), err
}

// unquote leaves it to the encoder which scalars need their quotes.
func unquote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		unquote(c)
	}
}

// overlayOf gives spec.Config as a node, in the keys the flavour reads; nil for
// an empty one.
func overlayOf(config map[string]any, f Flavour) (*yaml.Node, error) {
	if len(config) == 0 {
		return nil, nil
	}
	overlay := new(yaml.Node)
	if err := overlay.Encode(config); err != nil {
		return nil, fault.Usage("mend config: in regctl.yaml", "config: %w", err)
	}
	spellOut(overlay, "storage")
	spellOut(overlay, "auth")
	if f == Stock2 {
		return overlay, redisFor2(overlay)
	}
	return overlay, nil
}

// spellOut turns "storage: inmemory" into the mapping it stands for.
func spellOut(doc *yaml.Node, name string) {
	n := child(doc, name)
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return
	}
	driver := &yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}
	*n = yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{driver, emptyMapping()}}
}

func emptyMapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle} }
