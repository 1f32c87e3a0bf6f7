package trust

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// RegistriesYAML is a registry in registries.yaml of k3s and rke2
// (docs.k3s.io/installation/private-registry): its CA under configs, for plain
// HTTP its endpoint under mirrors, for a mirror an endpoint of its upstream.
type RegistriesYAML struct {
	ID       string // the registry's address
	URL      string
	Upstream string // what it is a mirror of, such as docker.io; "" for none
	CA       string // path of the CA's file on the client; "" over plain HTTP
}

// Part implements Editor.
func (r RegistriesYAML) Part() string {
	return partName("registries.yaml", r.ID, r.URL, r.Upstream, r.CA)
}

// Has implements Editor.
func (r RegistriesYAML) Has(data []byte) bool {
	decoded, err := decodeYAML(data)
	if err != nil {
		return false
	}
	if r.CA != "" && dig(decoded, "configs", r.ID, "tls", "ca_file") != r.CA {
		return false
	}
	if name := r.mirrored(); name != "" {
		list, ok := dig(decoded, "mirrors", name, "endpoint").([]any)
		return ok && says(list, r.URL)
	}
	return true
}

// mirrored is the name whose pulls go to our endpoint; "" for none.
func (r RegistriesYAML) mirrored() string {
	if r.Upstream == "" && strings.HasPrefix(r.URL, "http://") {
		return r.ID
	}
	return r.Upstream
}

func dig(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// Apply implements Editor.
func (r RegistriesYAML) Apply(data []byte) ([]byte, error) {
	if r.Has(data) {
		return data, nil
	}
	base, err := r.Remove(data)
	if err != nil {
		return nil, err
	}
	after := base
	if r.CA != "" {
		if after, err = r.put(after, "configs", r.ID, "tls:", "  ca_file: "+quote(r.CA)); err != nil {
			return nil, err
		}
	}
	if name := r.mirrored(); name != "" {
		if after, err = r.put(after, "mirrors", name, "endpoint:", "  - "+quote(r.URL)); err != nil {
			return nil, err
		}
	}
	return settled(base, after, r, decodeYAML)
}

// put enters a key with the lines below it into a section of the file.
func (r RegistriesYAML) put(data []byte, section, key string, below ...string) ([]byte, error) {
	root, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	keyText := quote(key) + ":"
	block := func(indent int) []ownLine {
		pad := strings.Repeat(" ", indent)
		own := []ownLine{{text: pad + keyText}}
		for _, b := range below {
			own = append(own, ownLine{text: pad + "  " + b})
		}
		return own
	}
	if root == nil {
		return appendMarked(data, r.ID, append([]ownLine{{text: section + ":", shared: true}}, block(2)...)...), nil
	}
	indent := root.Column - 1
	name, value := pair(root, section)
	if name == nil {
		head := ownLine{text: strings.Repeat(" ", indent) + section + ":", shared: true}
		return appendMarked(data, r.ID, append([]ownLine{head}, block(indent+2)...)...), nil
	}
	if isNull(value) && value.Value == "" {
		return insertMarked(data, name.Line, r.ID, block(indent+2)...), nil
	}
	if !isBlock(value, yaml.MappingNode) || value.Line == name.Line {
		return nil, refuse(name.Line, "write "+section+" as indented lines", "%s is not written as indented lines", section)
	}
	there, inner := pair(value, key)
	if there == nil {
		return insertMarked(data, value.Content[0].Line-1, r.ID, block(value.Column-1)...), nil
	}
	_, list := pair(inner, "endpoint")
	if section != "mirrors" || list == nil || !isBlock(list, yaml.SequenceNode) || len(list.Content) == 0 || list.Line == inner.Line && list.Column < inner.Column {
		return nil, refuse(there.Line, "make the entry by hand", "%s is set up there in another way", key)
	}
	// Our endpoint is tried first.
	item := strings.Repeat(" ", list.Column-1) + strings.TrimPrefix(below[1], "  ")
	return insertMarked(data, list.Content[0].Line-1, r.ID, ownLine{text: item}), nil
}

// Remove implements Editor. A heading of ours goes with the last entry under it.
func (r RegistriesYAML) Remove(data []byte) ([]byte, error) {
	data = removeMarked(data, r.ID)
	return dropLines(data, func(line string, rest []string) (bool, bool) {
		ours, joined := marked(line, "")
		if !ours {
			return false, false
		}
		for _, next := range rest {
			if text := strings.TrimSpace(next); text != "" && text[0] != '#' {
				return indentOf(next) <= indentOf(line), joined
			}
		}
		return true, joined
	}), nil
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func isBlock(n *yaml.Node, kind yaml.Kind) bool {
	return n.Kind == kind && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 && n.Anchor == ""
}

func pair(n *yaml.Node, key string) (name, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// parseYAML gives the mapping at the top; nil for a file that says nothing.
func parseYAML(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, refuse(yamlLine(err), "mend the file first", "not YAML: %v", err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, refuse(second.Line, "keep one document in the file", "a second document begins")
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) && doc.Content[0].Value == "" {
		return nil, nil
	}
	if root := doc.Content[0]; isBlock(root, yaml.MappingNode) {
		return root, nil
	}
	return nil, refuse(doc.Content[0].Line, "write it as indented lines", "the file is not a mapping of indented lines")
}

func yamlLine(err error) int {
	if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}

func decodeYAML(data []byte) (any, error) {
	var all any
	if err := yaml.Unmarshal(data, &all); err != nil {
		return nil, refuse(yamlLine(err), "mend the file first", "not YAML: %v", err)
	}
	return all, nil
}
