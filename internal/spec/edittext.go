package spec

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// editText makes a change in the text, by the positions that the parser gave its
// nodes. It need not be right about every form that YAML has: the caller parses
// what comes out and compares.
func editText(data []byte, doc *yaml.Node, c change) ([]byte, bool) {
	t, ok := newText(data)
	if !ok {
		return nil, false
	}
	m, end := doc.Content[0], len(t.lines)
	for i, key := range c.path {
		if m.Style&yaml.FlowStyle != 0 {
			ok = t.changeFlow(m, c.path[i:], c)
			return t.bytes(), ok
		}
		index := keyIndex(m, key)
		if index < 0 {
			ok = c.remove || t.insert(m, end, c.path[:i], key, nest(c.path[i+1:], c.new))
			return t.bytes(), ok
		}
		value := m.Content[index+1]
		end = t.entryEnd(m, index, end)
		if i == len(c.path)-1 && c.remove {
			ok = t.removeEntry(m.Content[index], end)
			return t.bytes(), ok
		}
		if i == len(c.path)-1 || value.Kind != yaml.MappingNode {
			ok = t.set(m.Content[index], value, end, nest(c.path[i+1:], c.new))
			return t.bytes(), ok
		}
		m = value
	}
	return nil, false
}

func keyIndex(m *yaml.Node, key string) int {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// set gives a key of a block mapping another value. Its entry ends on line end.
func (t *text) set(key, value *yaml.Node, end int, v any) bool {
	list, isList := v.([]any)
	switch {
	case value.Kind != yaml.ScalarNode && value.Style&yaml.FlowStyle != 0:
		return t.replaceToken(value, flowText(v))
	case isNull(value) && value.Value == "":
		return t.fill(key, v)
	case isScalar(v) && value.Kind == yaml.ScalarNode && t.replaceToken(value, flowText(v)):
		return true
	case isList && value.Kind == yaml.SequenceNode && t.editList(value, list):
		return true
	}
	return t.replaceEntry(key, end, v)
}

// fill gives a value to a key of a block mapping that has none.
func (t *text) fill(key *yaml.Node, v any) bool {
	indent, ok := t.indentOf(key)
	if !ok {
		return false
	}
	if isScalar(v) {
		_, end, ok := t.token(key)
		if ok {
			t.replace(end, end+1, ": "+flowText(v))
		}
		return ok
	}
	lines, ok := t.entryLines(indent, key.Value, v)
	if ok {
		t.splice(key.Line, 0, lines[1:])
	}
	return ok
}

// insert adds a key to a block mapping: behind the nearest one that comes before
// it in the schema, else behind the last.
func (t *text) insert(m *yaml.Node, end int, path []string, key string, v any) bool {
	indent, ok := t.indentOf(m.Content[0])
	if !ok {
		return false
	}
	after := len(m.Content) - 2
	order := sectionFields(strings.Join(path, ".")).keys
	for _, k := range slices.Backward(order[:max(0, slices.Index(order, key))]) {
		if i := keyIndex(m, k); i >= 0 {
			after = i
			break
		}
	}
	lines, ok := t.entryLines(indent, key, v)
	if ok {
		t.splice(t.entryEnd(m, after, end), 0, lines)
	}
	return ok
}

// removeEntry takes out a key of a block mapping with its value; comments above it
// stay.
func (t *text) removeEntry(key *yaml.Node, end int) bool {
	if _, ok := t.indentOf(key); !ok {
		return false
	}
	t.splice(key.Line-1, end-key.Line+1, nil)
	return true
}

func (t *text) replaceEntry(key *yaml.Node, end int, v any) bool {
	indent, ok := t.indentOf(key)
	if !ok {
		return false
	}
	lines, ok := t.entryLines(indent, key.Value, v)
	if ok {
		t.splice(key.Line-1, end-key.Line+1, lines)
	}
	return ok
}

// entryLines writes an entry in block style.
func (t *text) entryLines(indent, key string, v any) ([]string, bool) {
	entry, err := entryText(key, v)
	if err != nil {
		return nil, false
	}
	var lines []string
	for line := range strings.Lines(entry) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			line = indent + line
		}
		lines = append(lines, line+t.eol)
	}
	return lines, true
}

// entryEnd is the line on which the entry at index ends: before the next key of
// the mapping, or where the mapping ends, less blank lines and comments.
func (t *text) entryEnd(m *yaml.Node, index, end int) int {
	if index+2 < len(m.Content) {
		end = m.Content[index+2].Line - 1
	}
	for end > lastLine(m.Content[index+1]) {
		line := strings.TrimSpace(t.lines[end-1])
		if line != "" && line[0] != '#' {
			break
		}
		end--
	}
	return max(end, m.Content[index].Line)
}

// lastLine is the last line on which a node or one below it begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// changeFlow makes a change below a mapping in flow style, {a: 1, b: 2}, and writes
// that mapping anew.
func (t *text) changeFlow(m *yaml.Node, path []string, c change) bool {
	start, end, ok := t.token(m)
	if !ok || changeNode(m, path, c) != nil {
		return false
	}
	t.replace(start, end, flowNode(m))
	return true
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// plainText is a text that needs no quotes in any place, whoever reads it.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9._/@+-]*(:[A-Za-z0-9._/@+-]+)*$`)

// flowText writes a value on one line.
func flowText(v any) string {
	if s, ok := v.(string); ok {
		n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
		if plainText.MatchString(s) && n.ShortTag() == "!!str" {
			return s
		}
		quoted, _ := json.Marshal(s) // a text always has a form in JSON, and JSON's is YAML's
		return string(quoted)
	}
	n, err := newNode(v)
	if err != nil {
		return ""
	}
	return flowNode(n)
}

// flowNode writes a node in flow style, without the comments around it.
func flowNode(n *yaml.Node) string {
	bare := bareNode(n)
	bare.Style |= yaml.FlowStyle
	out, err := yaml.Marshal(bare)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(out), "\n")
}

func bareNode(n *yaml.Node) *yaml.Node {
	bare := *n
	bare.HeadComment, bare.LineComment, bare.FootComment = "", "", ""
	bare.Content = nil
	if isNull(n) {
		bare.Value = "null" // the encoder would write an empty one in flow style as ''
	}
	for _, c := range n.Content {
		bare.Content = append(bare.Content, bareNode(c))
	}
	return &bare
}
