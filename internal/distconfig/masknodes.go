package distconfig

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maskNodes masks the secret scalars of YAML by their place in the text. ok is
// false when it is no YAML or a scalar is not found where it should be.
func maskNodes(data []byte) (out []byte, ok bool) {
	m := masker{data: data, lines: lineStarts(data), indent: map[*yaml.Node]int{}, secret: map[*yaml.Node]bool{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		doc := new(yaml.Node)
		err := decoder.Decode(doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false
		}
		m.visit(doc, -1, false)
	}
	return m.apply()
}

type masker struct {
	data   []byte
	lines  []int               // where each line starts
	indent map[*yaml.Node]int  // column of the section a scalar is in, from 0
	secret map[*yaml.Node]bool // nodes visited as secrets
}

func (m *masker) visit(n *yaml.Node, indent int, secret bool) {
	if secret {
		if m.secret[n] {
			return
		}
		m.secret[n] = true
	}
	switch n.Kind {
	case yaml.AliasNode:
		if secret {
			m.visit(n.Alias, m.indent[n.Alias], true)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			m.visit(n.Content[i+1], key.Column-1, secret || IsSecret(key.Value))
		}
	case yaml.SequenceNode:
		for _, element := range n.Content {
			m.visit(element, n.Column-1, secret)
		}
	case yaml.DocumentNode:
		m.visit(n.Content[0], indent, secret)
	default:
		if _, known := m.indent[n]; !known {
			m.indent[n] = indent
		}
	}
}

// span is a scalar's place in the text.
type span struct{ start, end int }

func (m *masker) apply() ([]byte, bool) {
	var spans []span
	for n := range m.secret {
		if n.Kind != yaml.ScalarNode || n.Value == "" || isNull(n) {
			continue
		}
		s, ok := m.locate(n)
		if !ok {
			return nil, false
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	var out []byte
	done := 0
	for _, s := range spans {
		if s.start < done {
			return nil, false
		}
		out = append(append(out, m.data[done:s.start]...), masked...)
		done = s.end
	}
	return append(out, m.data[done:]...), true
}

func (m *masker) locate(n *yaml.Node) (s span, ok bool) {
	if n.Line < 1 || n.Line > len(m.lines) {
		return s, false
	}
	at := m.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(m.data[at:])
		at += size
	}
	at = m.skipProperties(at)
	if at >= len(m.data) {
		return s, false
	}
	end := -1
	switch first := m.data[at]; {
	case n.Style&yaml.DoubleQuotedStyle != 0 && first == '"':
		end = m.doubleQuoted(at)
	case n.Style&yaml.SingleQuotedStyle != 0 && first == '\'':
		end = m.singleQuoted(at)
	case n.Style&yaml.LiteralStyle != 0 && first == '|', n.Style&yaml.FoldedStyle != 0 && first == '>':
		end = m.block(at, m.indent[n])
	case n.Style&^yaml.TaggedStyle == 0:
		end = m.plain(at, n.Value)
	}
	return span{at, end}, end > at
}

// skipProperties passes a scalar's anchor and tag.
func (m *masker) skipProperties(at int) int {
	for at < len(m.data) && (m.data[at] == '&' || m.data[at] == '!') {
		for at < len(m.data) && !unicode.IsSpace(rune(m.data[at])) {
			at++
		}
		for at < len(m.data) && unicode.IsSpace(rune(m.data[at])) {
			at++
		}
	}
	return at
}

func (m *masker) doubleQuoted(at int) int {
	for i := at + 1; i < len(m.data); i++ {
		switch m.data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func (m *masker) singleQuoted(at int) int {
	for i := at + 1; i < len(m.data); i++ {
		if m.data[i] != '\'' {
			continue
		}
		if i+1 < len(m.data) && m.data[i+1] == '\'' {
			i++
			continue
		}
		return i + 1
	}
	return -1
}

// plain follows a scalar that may have been folded from several lines.
func (m *masker) plain(at int, value string) int {
	for _, r := range value {
		if unicode.IsSpace(r) {
			continue
		}
		for at < len(m.data) {
			next, size := utf8.DecodeRune(m.data[at:])
			if !unicode.IsSpace(next) {
				break
			}
			at += size
		}
		if !strings.HasPrefix(string(m.data[at:min(at+utf8.UTFMax, len(m.data))]), string(r)) {
			return -1
		}
		at += utf8.RuneLen(r)
	}
	return at
}

// block ends before the first line that is indented no deeper than the key.
func (m *masker) block(at, indent int) int {
	line, _ := slices.BinarySearch(m.lines, at+1)
	end := at
	for ; line < len(m.lines); line++ {
		stop := len(m.data)
		if line+1 < len(m.lines) {
			stop = m.lines[line+1]
		}
		text := bytes.TrimRight(m.data[m.lines[line]:stop], "\r\n")
		body := bytes.TrimLeft(text, " ")
		if len(bytes.TrimSpace(body)) == 0 {
			continue
		}
		if len(text)-len(body) <= indent {
			break
		}
		end = m.lines[line] + len(text)
	}
	return end
}

// lineStarts finds lines as libyaml counts them: NEL, LS and PS break one too.
func lineStarts(data []byte) []int {
	start := 0
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		start = len("\ufeff")
	}
	starts := []int{start}
	for i, r := range string(data) {
		crlf := r == '\r' && i+1 < len(data) && data[i+1] == '\n'
		if !crlf && strings.ContainsRune("\r\n\u0085\u2028\u2029", r) {
			starts = append(starts, i+utf8.RuneLen(r))
		}
	}
	return starts
}
