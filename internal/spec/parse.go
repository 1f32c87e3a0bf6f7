package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// Parse reads regctl.yaml; file is its name, for errors. What the file leaves out
// has its default, except version, hosts and runtime, which it must say. Hosts
// come out normalised, and the result passes Validate.
//
// Errors are usage faults of the form "FILE:LINE: KEY: what is wrong": a syntax
// error, an unknown key (the hint names the nearest known one), a wrong type, a
// key given twice, a newer schema, a value that Validate refuses. Anchors, merge
// keys and second documents are refused too: a regctl.yaml is edited by commands.
func Parse(file string, data []byte) (Spec, error) {
	r := &reader{file: file, lines: map[string]int{}}
	doc, err := r.document(data)
	if err != nil {
		return Spec{}, err
	}
	s := Default()
	s.Version = 0
	if err := r.version(doc); err != nil {
		return Spec{}, err
	}
	if err := r.structure(doc, reflect.ValueOf(&s).Elem(), ""); err != nil {
		return Spec{}, err
	}
	for i, given := range s.Hosts {
		host, problem := normalizeHost(given)
		if problem != nil {
			return Spec{}, r.found(problem)
		}
		s.Hosts[i] = host
	}
	s.Hosts = unique(s.Hosts)
	if r.lines["port"] == 0 {
		s.Port = s.UsualPort()
	}
	s.Mirror.Of = NormalizeMirror(s.Mirror.Of)
	if problem := s.check(); problem != nil {
		return Spec{}, r.found(problem)
	}
	if s.Runtime == "" {
		return Spec{}, r.found(newFinding("runtime", "write runtime: docker or runtime: process", "it is missing"))
	}
	return s, nil
}

// reader turns YAML nodes into a Spec and remembers where each key stands.
type reader struct {
	file  string
	lines map[string]int
}

// at is a usage fault at a node.
func (r *reader) at(n *yaml.Node, hint, format string, args ...any) error {
	return fault.Usage(hint, "%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...))
}

// found is a usage fault where a finding's key stands, or its section.
func (r *reader) found(f *finding) error {
	section, _, _ := strings.Cut(f.key, ".")
	entry, _, _ := strings.Cut(f.key, "].") // of a list: an entry's own line
	for _, key := range []string{f.key, entry + "]", section} {
		if line := r.lines[key]; line > 0 {
			return fault.Usage(f.hint, "%s:%d: %s: %s", r.file, line, f.key, f.problem)
		}
	}
	return fault.Usage(f.hint, "%s: %s: %s", r.file, f.key, f.problem)
}

var (
	// yamlLine is how yaml.v3 says where a syntax error is.
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	// yamlParser matches the errors whose lines yaml.v3 counts from 0.
	yamlParser = regexp.MustCompile(`did not find expected (',|key|'-'|node|<)`)
)

// syntax turns yaml.v3's error into one that says where it is.
func (r *reader) syntax(err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		m = []string{"", ""}
	}
	line, _ := strconv.Atoi(m[1])
	problem := err.Error()[len(m[0]):]
	if yamlParser.MatchString(problem) {
		line++
	}
	return fault.Usage("mind the indentation, and put quotes around values with : # or brackets", "%s:%d: not YAML: %s", r.file, max(line, 1), problem)
}

// document returns the one mapping that the file must be.
func (r *reader) document(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, fault.Usage("remove it, and regctl init writes one", "%s: it is empty", r.file)
	case err != nil:
		return nil, r.syntax(err)
	case !errors.Is(decoder.Decode(&second), io.EOF):
		return nil, fault.Usage("a file describes one registry", "%s: there is more after the first YAML document", r.file)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, r.at(root, "remove it, and regctl init writes one", "not a list of keys and values")
	}
	return root, r.plain(root)
}

// plain refuses what an edit by command could not keep: aliases, merge keys and
// types beyond YAML's core.
func (r *reader) plain(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.ShortTag() == "!!merge" {
		return r.at(n, "write the value out in full", "anchors, aliases and merge keys are not for this file")
	}
	if tag := n.ShortTag(); !slices.Contains([]string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp"}, tag) {
		return r.at(n, "leave the tag out", "the type %s is not for this file", tag)
	}
	if n.Kind == yaml.MappingNode {
		if err := r.noDoubles(n); err != nil {
			return err
		}
	}
	for _, c := range n.Content {
		if err := r.plain(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) noDoubles(m *yaml.Node) error {
	first := map[string]int{}
	for i := 0; i < len(m.Content); i += 2 {
		key := m.Content[i]
		if key.Kind != yaml.ScalarNode {
			return r.at(key, "a key is a word", "a list or mapping cannot be a key")
		}
		if line := first[key.Value]; line > 0 {
			return r.at(key, "keep one of them", "%s: it is given twice, first on line %d", key.Value, line)
		}
		first[key.Value] = key.Line
	}
	return nil
}

// version looks at the schema first: a newer file may have other keys.
func (r *reader) version(doc *yaml.Node) error {
	_, value := lookup(doc, "version")
	if value == nil {
		return r.found(Spec{}.checkVersion())
	}
	var s Spec
	if err := r.value(value, reflect.ValueOf(&s.Version).Elem(), "version"); err != nil {
		return err
	}
	r.lines["version"] = value.Line
	if problem := s.checkVersion(); problem != nil {
		return r.found(problem)
	}
	return nil
}

// unique drops doubles and keeps order.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
