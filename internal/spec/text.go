package spec

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text is a file as lines, each with its own line end.
type text struct {
	bom   string
	lines []string
	eol   string // what new lines end with
}

// newText splits a file. Line ends that YAML counts and editors do not are
// refused, since positions would be off.
func newText(data []byte) (*text, bool) {
	t := &text{eol: "\n"}
	if rest, ok := bytes.CutPrefix(data, []byte("\ufeff")); ok {
		t.bom, data = "\ufeff", rest
	}
	s := string(data)
	if strings.ContainsAny(s, "\u0085\u2028\u2029") || strings.Count(s, "\r") != strings.Count(s, "\r\n") {
		return nil, false
	}
	for line := range strings.Lines(s) {
		t.lines = append(t.lines, line)
	}
	if len(t.lines) > 0 && strings.HasSuffix(t.lines[0], "\r\n") {
		t.eol = "\r\n"
	}
	return t, true
}

func (t *text) bytes() []byte { return []byte(t.bom + strings.Join(t.lines, "")) }

// splice replaces count lines from the line with index at by others.
func (t *text) splice(at, count int, lines []string) {
	if len(lines) > 0 && at > 0 && !strings.HasSuffix(t.lines[at-1], "\n") {
		t.lines[at-1] += t.eol
	}
	rest := append([]string{}, t.lines[at+count:]...)
	t.lines = append(append(t.lines[:at], lines...), rest...)
}

// indentOf is the blank space before a node that begins its line.
func (t *text) indentOf(n *yaml.Node) (string, bool) {
	indent, ok := t.before(n)
	return indent, ok && strings.Trim(indent, " ") == ""
}

// before is the part of a node's line that stands before it. The parser counts
// columns in characters.
func (t *text) before(n *yaml.Node) (string, bool) {
	if n.Line < 1 || n.Line > len(t.lines) {
		return "", false
	}
	line, offset := t.lines[n.Line-1], 0
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(line[offset:])
		if size == 0 {
			return "", false
		}
		offset += size
	}
	return line[:offset], true
}

// replaceToken puts other text in the place of a scalar or a flow collection.
func (t *text) replaceToken(n *yaml.Node, with string) bool {
	start, end, ok := t.token(n)
	if ok {
		t.replace(start, end, with)
	}
	return ok
}

// replace puts other text between two offsets into the joined lines.
func (t *text) replace(start, end int, with string) {
	all := strings.Join(t.lines, "")
	changed := &text{}
	for line := range strings.Lines(all[:start] + with + all[end:]) {
		changed.lines = append(changed.lines, line)
	}
	t.lines = changed.lines
}

// token is where a node's text begins and ends in the joined lines. A collection
// with a comment inside has none: it would be lost.
func (t *text) token(n *yaml.Node) (start, end int, ok bool) {
	before, ok := t.before(n)
	if !ok {
		return 0, 0, false
	}
	for _, line := range t.lines[:n.Line-1] {
		start += len(line)
	}
	start += len(before)
	rest := strings.Join(t.lines, "")[start:]
	size := 0
	switch {
	case rest == "":
	case rest[0] == '"' || rest[0] == '\'':
		size = quotedSize(rest)
	case rest[0] == '[' || rest[0] == '{':
		size = flowSize(rest)
	case n.Kind == yaml.ScalarNode && n.Style == 0 && strings.HasPrefix(rest, n.Value):
		size = len(n.Value)
	}
	return start, start + size, size > 0
}

// quotedSize is the length of the quoted scalar that s begins with, or 0.
func quotedSize(s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case quote == '"' && s[i] == '\\':
			i++
		case s[i] != quote:
		case quote == '\'' && i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// flowSize is the length of the flow collection that s begins with, or 0.
func flowSize(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		fresh := i > 0 && strings.IndexByte(" \t\r\n,[{:", s[i-1]) >= 0 // a token may begin here
		switch c := s[i]; {
		case (c == '"' || c == '\'') && fresh:
			size := quotedSize(s[i:])
			if size == 0 {
				return 0
			}
			i += size - 1
		case c == '#' && fresh:
			return 0
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
