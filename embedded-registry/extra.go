package embeddedregistry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// extraName is the file beside config.yml that holds what distribution has no key for.
const extraName = "regctl-serve.yaml"

// extra is what extraName holds. The zero value is an absent file's.
type extra struct {
	// HTTP2 offers HTTP/2 over TLS, unless http.http2.disabled.
	HTTP2 bool
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
		default:
			return e, fault.Usage("remove it; the one key is http2", "%d: unknown key %q", key.Line, key.Value)
		}
	}
	return e, nil
}
