package trust

import "strings"

// HostsTOML is one host in a hosts.toml of containerd or nerdctl (containerd,
// docs/hosts.md). A file that we make ourselves names the registry as its server
// and as its host: containerd up to 1.7 passes over a file without a host. In a file
// that was there, it becomes a host that is tried first. A mirror is a host of
// docker.io's file that may pull and resolve.
type HostsTOML struct {
	ID     string // the registry's address
	URL    string // http://… or https://…
	Mirror bool
	CA     string // path of the CA's file on the client; "" for none
}

// Part implements Editor.
func (h HostsTOML) Part() string {
	return partName("hosts.toml", h.ID, h.URL, word(h.Mirror, "mirror", "server"), h.CA)
}

// Has implements Editor.
func (h HostsTOML) Has(data []byte) bool {
	decoded, err := decodeTOML(data)
	if err != nil || len(data) == 0 {
		return false
	}
	top, _ := decoded.(map[string]any)
	hosts, _ := top["host"].(map[string]any)
	if host, ok := hosts[h.URL].(map[string]any); ok {
		return h.CA == "" || says(host["ca"], h.CA)
	}
	server, _ := top["server"].(string)
	return !h.Mirror && server == h.URL && len(hosts) > 0 && (h.CA == "" || says(top["ca"], h.CA))
}

// says reports whether a TOML value is a string, or holds it in a list.
func says(value any, want string) bool {
	if list, ok := value.([]any); ok {
		for _, v := range list {
			if v == want {
				return true
			}
		}
	}
	return value == want
}

// Apply implements Editor.
func (h HostsTOML) Apply(data []byte) ([]byte, error) {
	if h.Has(data) {
		return data, nil
	}
	return h.write(removeMarked(data, h.ID))
}

func (h HostsTOML) write(data []byte) ([]byte, error) {
	all, err := tomlIndex(data)
	if err != nil {
		return nil, err
	}
	if e, ok := findTOML(all, true, "host", h.URL); ok {
		return nil, refuse(e.line, "make the entry by hand", "%s is set up there in another way", h.URL)
	}
	var text []string
	ca := "ca = " + tomlText(h.CA)
	if !h.Mirror && strings.TrimSpace(string(data)) == "" {
		text = append(text, "server = "+tomlText(h.URL))
		if h.CA != "" {
			text = append(text, ca)
		}
	}
	text = append(text, "[host."+tomlText(h.URL)+"]", "  capabilities = "+word(h.Mirror, `["pull", "resolve"]`, `["pull", "resolve", "push"]`))
	if h.CA != "" {
		text = append(text, "  "+ca)
	}
	return appendTOML(h, data, h.ID, text...)
}

// Remove implements Editor.
func (h HostsTOML) Remove(data []byte) ([]byte, error) { return removeMarked(data, h.ID), nil }
