package spec

import (
	"bytes"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// Edit changes a regctl.yaml from old to new. Only the lines of keys that differ
// between the two are touched: comments, blank lines, indentation, quoting and
// line ends elsewhere stay byte for byte. Where text of some unusual form cannot
// be changed in place, the document is written anew with its comments but not its
// layout.
//
// Parse of the result is new, with its hosts normalised. Data that is not old is
// refused, as is a new that Validate refuses.
func Edit(data []byte, old, new Spec) ([]byte, error) {
	const file = "regctl.yaml"
	hosts, err := NormalizeHosts(new.Hosts)
	if err != nil {
		return nil, err
	}
	new.Hosts = hosts
	if err := new.Validate(); err != nil {
		return nil, err
	}
	now, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	if len(Diff(now, old)) > 0 {
		return nil, fault.Fail("run the same command again: it works with what is there", "%s: it says something else now", file)
	}
	before, err := tree(old)
	if err != nil {
		return nil, err
	}
	after, err := tree(new)
	if err != nil {
		return nil, err
	}
	for _, c := range changes(before, after, nil) {
		if data, err = editOne(data, c); err != nil {
			return nil, err
		}
	}
	result, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	if got, err := tree(result); err != nil || !reflect.DeepEqual(got, after) {
		return nil, fault.Fail("make the change by hand", "%s: its form is one that cannot be edited by a command", file)
	}
	return data, nil
}

// editOne makes one change, in the text where that can be done.
func editOne(data []byte, c change) ([]byte, error) {
	doc, err := parseNode(data)
	if err != nil {
		return nil, err
	}
	want := withChange(plainValue(doc), c.path, c)
	if out, ok := editText(data, doc, c); ok {
		if got, err := parseNode(out); err == nil && reflect.DeepEqual(plainValue(got), want) {
			return out, nil
		}
	}
	return editNodes(data, c)
}

func parseNode(data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	return &doc, nil
}

// withChange is a plain value after a change.
func withChange(v any, path []string, c change) any {
	if len(path) == 0 {
		return c.new
	}
	m, ok := v.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	if len(path) == 1 && c.remove {
		delete(m, path[0])
		return m
	}
	m[path[0]] = withChange(m[path[0]], path[1:], c)
	return m
}

// editNodes makes a change in the parsed document and writes it all anew.
func editNodes(data []byte, c change) ([]byte, error) {
	crlf := bytes.Contains(data, []byte("\r\n"))
	doc, err := parseNode(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
	if err != nil {
		return nil, err
	}
	if err := changeNode(doc.Content[0], c.path, c); err != nil {
		return nil, err
	}
	spellNulls(doc)
	text, err := blockText(doc)
	if err != nil {
		return nil, err
	}
	if crlf {
		return bytes.ReplaceAll([]byte(text), []byte("\n"), []byte("\r\n")), nil
	}
	return []byte(text), nil
}

// changeNode makes a change below a mapping node.
func changeNode(m *yaml.Node, path []string, c change) error {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != path[0] {
			continue
		}
		if len(path) > 1 && m.Content[i+1].Kind == yaml.MappingNode {
			return changeNode(m.Content[i+1], path[1:], c)
		}
		if c.remove {
			m.Content = slices.Delete(m.Content, i, i+2)
			return nil
		}
		value, err := newNode(nest(path[1:], c.new))
		if err != nil {
			return err
		}
		keepComments(m.Content[i+1], value)
		m.Content[i+1] = value
		return nil
	}
	if c.remove {
		return nil
	}
	key, err := newNode(path[0])
	if err != nil {
		return err
	}
	value, err := newNode(nest(path[1:], c.new))
	if err != nil {
		return err
	}
	m.Content = append(m.Content, key, value)
	return nil
}

// spellNulls writes empty values out: in flow style the encoder would make them
// texts.
func spellNulls(n *yaml.Node) {
	if isNull(n) {
		n.Value = "null"
	}
	for _, c := range n.Content {
		spellNulls(c)
	}
}

// keepComments gives a new node the comments of the one it replaces, and the
// entries of a list theirs.
func keepComments(old, new *yaml.Node) {
	new.HeadComment, new.LineComment, new.FootComment = old.HeadComment, old.LineComment, old.FootComment
	if old.Kind != yaml.SequenceNode || new.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range new.Content {
		same := func(n *yaml.Node) bool {
			return n.Kind == yaml.ScalarNode && n.Value == item.Value && n.ShortTag() == item.ShortTag()
		}
		if j := slices.IndexFunc(old.Content, same); j >= 0 {
			new.Content[i] = old.Content[j]
		}
	}
}

func newNode(v any) (*yaml.Node, error) {
	var n yaml.Node
	err := n.Encode(v)
	return &n, err
}

// nest puts a value below keys.
func nest(path []string, v any) any {
	for _, key := range slices.Backward(path) {
		v = map[string]any{key: v}
	}
	return v
}
