package distconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// owned are distribution's keys that regctl sets from keys of its own: with
// two places to set them, one would lie.
var owned = []struct{ path, hint string }{
	{"http.addr", "set port and bind in regctl.yaml, or --port and --bind"},
	{"http.net", "a unix socket behind a proxy, else TCP: set port and bind in regctl.yaml"},
	{"http.tls.certificate", "set tls.mode to files, and tls.cert, in regctl.yaml, or --tls files --cert"},
	{"http.tls.key", "set tls.mode to files, and tls.key, in regctl.yaml, or --tls files --key"},
	{"http.tls.letsencrypt", "set tls.mode in regctl.yaml, or --tls"},
	{"http.http2.disabled", "set http2: true or false in regctl.yaml"},
	{"storage.filesystem.rootdirectory", "the images are in data/ of the registry's directory: choose that with --dir, or a Docker volume with storage.volume in regctl.yaml"},
}

// ownedHint gives the hint for a dotted path that regctl owns, or "". A section
// that holds an owned key is not owned itself.
func ownedHint(path string) string {
	for _, o := range owned {
		if path == o.path || strings.HasPrefix(path, o.path+".") {
			return o.hint
		}
	}
	return ""
}

// refuseOwned reports an owned key that the overlay would change.
func refuseOwned(doc, overlay *yaml.Node) error {
	if overlay == nil {
		return nil
	}
	for _, o := range owned {
		want := find(overlay, o.path)
		if want == nil || isNull(want) {
			continue
		}
		have := find(doc, o.path)
		if have != nil && have.Kind == yaml.ScalarNode && have.Value == want.Value {
			continue
		}
		return fault.Usage(o.hint, "config.%s: regctl.yaml has a key of its own for this", o.path)
	}
	return nil
}

// find gives the node at a dotted path without lists, or nil.
func find(n *yaml.Node, path string) *yaml.Node {
	for _, name := range strings.Split(path, ".") {
		if n = child(n, name); n == nil {
			return nil
		}
	}
	return n
}
