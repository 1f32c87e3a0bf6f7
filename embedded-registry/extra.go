package embeddedregistry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// extraName is the file beside config.yml that holds what distribution has no key for.
const extraName = "regctl-serve.yaml"

// extra is what extraName holds. The zero value is an absent file's.
type extra struct {
	// HTTP2 offers HTTP/2 over TLS, unless http.http2.disabled.
	HTTP2 bool
	// Auth lets in the users in the file htpasswd beside config.yml alone; nil asks
	// nobody. A registry that runs sees it change.
	Auth *extraAuth
	// MirrorCA is a file beside config.yml: the CA that vouches for a mirror's upstream.
	MirrorCA string
}

// extraAuth is the section auth.
type extraAuth struct {
	Realm string `yaml:"realm"`
	// Proxies are networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix `yaml:"proxies"`
	// DockerGateway says that requests may come by way of Docker's own proxy, and so
	// from the address of its gateway, whoever sent them.
	DockerGateway bool `yaml:"dockerGateway"`
	// Grace are passwords that are good until some time beside a user's new one.
	Grace []graceHash `yaml:"grace"`
	// Token, if not nil, has everybody show a token, which this registry gives out to
	// the same users, for what the rules let them do.
	Token *extraToken `yaml:"token"`
}

type extraToken struct {
	Service string `yaml:"service"` // whom tokens are for
	Issuer  string `yaml:"issuer"`  // who they say made them
	Rules   rules  `yaml:"rules"`
}

type graceHash struct {
	User  string    `yaml:"user"`
	Hash  string    `yaml:"hash"`
	Until time.Time `yaml:"until"`
}

func readExtra(path string) (extra, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return extra{}, nil
	}
	if err != nil {
		return extra{}, err
	}
	e, err := parseExtra(data)
	if err != nil {
		return extra{}, fmt.Errorf("%s:%w", path, err)
	}
	return e, nil
}

// parseExtra returns errors that begin with the line's number.
func parseExtra(data []byte) (e extra, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return e, fault.Usage("", " %w", err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return e, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return e, fault.Usage("", "%d: want `key: value` lines", root.Line)
	}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch key.Value {
		case "http2":
			if err := value.Decode(&e.HTTP2); err != nil || value.Tag != "!!bool" {
				return e, fault.Usage("", "%d: http2: want true or false, not %q", value.Line, value.Value)
			}
		case "mirrorCA":
			if value.Decode(&e.MirrorCA) != nil || e.MirrorCA != filepath.Base(e.MirrorCA) {
				return e, fault.Usage("", "%d: mirrorCA: want the name of a file beside this one", value.Line)
			}
		case "auth":
			if e.Auth, err = parseAuth(value); err != nil {
				return e, err
			}
		default:
			return e, fault.Usage("remove it; the keys are http2, auth and mirrorCA", "%d: unknown key %q", key.Line, key.Value)
		}
	}
	return e, nil
}

func parseAuth(section *yaml.Node) (*extraAuth, error) {
	text, err := yaml.Marshal(section)
	if err != nil {
		return nil, fault.Usage("", "%d: auth: %w", section.Line, err)
	}
	strict := yaml.NewDecoder(bytes.NewReader(text)) // a node's own decoder knows no such thing
	strict.KnownFields(true)
	a := new(extraAuth)
	if err := strict.Decode(a); err != nil {
		return nil, fault.Usage("", "%d: auth: %s", section.Line, strings.Join(strings.Fields(err.Error()), " "))
	}
	if a.Realm == "" {
		return nil, fault.Usage("clients show it when they ask for a password", "%d: auth.realm: is missing", section.Line)
	}
	if a.Token == nil {
		return a, nil
	}
	if a.Token.Service == "" || a.Token.Issuer == "" {
		return nil, fault.Usage("tokens name both", "%d: auth.token: service and issuer are needed", section.Line)
	}
	for i := range a.Token.Rules {
		if err := a.Token.Rules[i].compile(); err != nil {
			return nil, fault.Usage("", "%d: auth.token.rules[%d]: %w", section.Line, i, err)
		}
	}
	return a, nil
}
