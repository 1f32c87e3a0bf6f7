package distconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// Moved is a setting that an import put elsewhere than it stood.
type Moved struct {
	Line int    `json:"line" yaml:"line"` // in the imported file, counted from 1
	From string `json:"from" yaml:"from"`
	To   string `json:"to,omitempty" yaml:"to,omitempty"`     // a key of regctl.yaml; "" for a setting left out
	Note string `json:"note,omitempty" yaml:"note,omitempty"` // what the operator should know or do
}

func (m Moved) String() string {
	s := fmt.Sprintf("%d: %s", m.Line, m.From)
	if m.To == "" {
		s += " was left out"
	} else {
		s += " is now " + m.To
	}
	if m.Note != "" {
		s += ": " + m.Note
	}
	return s
}

// Import makes a spec of an existing config.yml: what regctl.yaml has keys for
// goes there, everything else into Config, and a key that stood where
// distribution ignored it goes where it belongs. Secrets come along. What the
// file does not say (Name, Hosts without http.host, Runtime) stays empty. A
// file that distribution would refuse for more than a missing key is a usage
// fault that names the line.
func Import(data []byte) (spec.Spec, []Moved, error) {
	problems := examine(data, Embedded)
	for _, p := range problems {
		if p.kind == broken {
			return spec.Spec{}, nil, fault.Usage("regctl config validate lists all that is wrong; mend the file and import it again",
				"line %s", p.String())
		}
	}
	doc, _, err := readDocument(data)
	if err != nil || doc == nil || doc.Kind != yaml.MappingNode {
		return spec.Spec{}, nil, fault.Usage("name a registry's config.yml", "the file holds no configuration")
	}
	i := importer{doc: doc, schema: newSchema(Embedded)}
	i.config = i.known(doc, i.schema).(map[string]any)
	for _, p := range problems {
		if p.kind == ignored {
			i.rescue(p)
		}
	}
	delete(i.config, "version")
	s := spec.Spec{Version: 1, Auth: spec.Auth{Mode: spec.AuthNone}}
	steps := []func(*spec.Spec) error{i.address, i.tls, i.auth, i.http2, i.hosts, i.storage, i.logLevel, i.debug}
	for _, step := range steps {
		if err := step(&s); err != nil {
			return spec.Spec{}, nil, err
		}
	}
	prune(i.config)
	if len(i.config) > 0 {
		s.Config = i.config
	}
	slices.SortStableFunc(i.moved, func(a, b Moved) int { return a.Line - b.Line })
	return s, i.moved, nil
}

type importer struct {
	doc    *yaml.Node
	schema *key
	config map[string]any
	moved  []Moved
	lines  map[string]int // where moved settings stood
}

// known is toGo without the keys that distribution would ignore.
func (i *importer) known(n *yaml.Node, k *key) any {
	n = resolve(n)
	if n.Kind != yaml.MappingNode || k.keys == nil {
		return toGo(n, k)
	}
	m := map[string]any{}
	kept, _ := pairs(n)
	for _, p := range kept {
		if under := k.keys[p.key.Value]; under != nil && under.live() {
			if v := i.known(p.value, under); v != nil || under.keys != nil {
				m[p.key.Value] = v
			}
		}
	}
	return m
}

// rescue moves what distribution ignored to where it belongs.
func (i *importer) rescue(p problem) {
	k := i.schema.at(p.Belongs)
	if p.Belongs == "" || k == nil || strings.Contains(p.Belongs, "[]") {
		i.note(p.Line, p.Key, "", p.Problem)
		return
	}
	value := i.known(p.value, k)
	if _, isList := value.([]any); k.list && !isList {
		value = []any{value}
	}
	if taken := i.lay(p.Belongs, value); taken {
		i.note(p.Line, p.Key, p.Belongs, "what "+p.Belongs+" says already was kept")
	} else {
		i.note(p.Line, p.Key, "config."+p.Belongs, "")
	}
	if i.lines == nil {
		i.lines = map[string]int{}
	}
	i.lines[p.Belongs] = p.Line
}

// lay puts a value at a dotted path, under what is there, and reports whether
// something was.
func (i *importer) lay(path string, value any) (taken bool) {
	m := i.config
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		below, ok := m[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			m[name] = below
		}
		m = below
	}
	name := names[len(names)-1]
	there := m[name]
	old, isMap := there.(map[string]any)
	fresh, isMapToo := value.(map[string]any)
	switch {
	case there == nil:
		m[name] = value
		return false
	case isMap && isMapToo:
		for k, v := range fresh {
			taken = i.lay(path+"."+k, v) || taken
		}
		return taken && len(old) > 0
	}
	return true
}

func (i *importer) note(line int, from, to, note string) {
	i.moved = append(i.moved, Moved{Line: line, From: from, To: to, Note: note})
}

// take removes a setting from the configuration; line is where it stood.
func (i *importer) take(path string) (value any, line int) {
	m := i.config
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		m, _ = m[name].(map[string]any)
	}
	name := names[len(names)-1]
	value = m[name]
	delete(m, name)
	return value, i.lineOf(path)
}

func (i *importer) lineOf(path string) int {
	if n := find(i.doc, path); n != nil {
		return n.Line
	}
	for p := path; p != ""; p = parent(p) {
		if line := i.lines[p]; line > 0 {
			return line
		}
	}
	return 1
}

func (i *importer) takeText(path string) (string, int) {
	value, line := i.take(path)
	if value == nil {
		return "", line
	}
	return fmt.Sprint(value), line
}

// prune drops sections with nothing in them, which say nothing, except drivers.
func prune(config map[string]any) {
	for name, value := range config {
		below, isMap := value.(map[string]any)
		if !isMap {
			if value == nil {
				delete(config, name)
			}
			continue
		}
		if name == "storage" || name == "auth" {
			if len(below) == 0 {
				delete(config, name)
			}
			continue
		}
		if prune(below); len(below) == 0 {
			delete(config, name)
		}
	}
}
