package distconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	yaml2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// distribution parses with yaml.v2; yaml.v3 is here for its nodes, which know
// their lines. Values are always read by v2: the two disagree about "yes".

// syntaxError is why a text is no YAML document, and its line, counted from 1.
type syntaxError struct {
	line    int
	problem string
}

func (e *syntaxError) Error() string { return "line " + strconv.Itoa(e.line) + ": " + e.problem }

// readDocument parses the first document, the only one distribution reads.
// extra is the line where a second one begins, or 0. Empty input gives nil.
func readDocument(data []byte) (doc *yaml.Node, extra int, err error) {
	var any any
	if err := yaml2.Unmarshal(data, &any); err != nil {
		return nil, 0, newSyntaxError(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); errors.Is(err, io.EOF) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, newSyntaxError(err)
	}
	if decoder.Decode(&second) == nil {
		extra = second.Line
	}
	return first.Content[0], extra, nil
}

var (
	errorLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?(?:line (\d+): )?`)
	// The parser, unlike the scanner, reports the line before the one it stopped at.
	parserError = regexp.MustCompile(`did not find expected (?:key|'-' indicator|node content|<document start>|',' or '.')`)
)

func newSyntaxError(err error) *syntaxError {
	text := err.Error()
	e := &syntaxError{line: 1, problem: text[len(errorLine.FindString(text)):]}
	if m := errorLine.FindStringSubmatch(text); m != nil && m[1] != "" {
		e.line, _ = strconv.Atoi(m[1])
		if parserError.MatchString(text) {
			e.line++
		}
	}
	if strings.HasSuffix(text, "expected key") {
		e.problem += "; keys of one section start in the same column, is this one in line with its neighbours?"
	}
	return e
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// pair is one key of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping's keys, those merged in by << last, and the pairs that
// a later one of the same name overrides apart.
func pairs(n *yaml.Node) (kept, overridden []pair) {
	last := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := pair{n.Content[i], resolve(n.Content[i+1])}
		if p.key.ShortTag() == "!!merge" {
			merged = append(merged, p.value)
			continue
		}
		if at, twice := last[p.key.Value]; twice {
			overridden = append(overridden, kept[at])
			kept[at] = p
			continue
		}
		last[p.key.Value] = len(kept)
		kept = append(kept, p)
	}
	for _, m := range merged {
		for _, p := range mergedPairs(m) {
			if _, set := last[p.key.Value]; !set {
				last[p.key.Value] = len(kept)
				kept = append(kept, p)
			}
		}
	}
	return kept, overridden
}

// mergedPairs lists what << brings: a mapping, or several, the first winning.
func mergedPairs(n *yaml.Node) []pair {
	if n.Kind == yaml.MappingNode {
		kept, _ := pairs(n)
		return kept
	}
	var all []pair
	for _, element := range n.Content {
		if e := resolve(element); e.Kind == yaml.MappingNode {
			kept, _ := pairs(e)
			all = append(all, kept...)
		}
	}
	return all
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return nil
	}
	kept, _ := pairs(n)
	for _, p := range kept {
		if p.key.Value == name {
			return p.value
		}
	}
	return nil
}

// scalar gives a scalar as YAML text that stands on its own, and as yaml.v2
// reads it.
func scalar(n *yaml.Node) (text string, value any) {
	text = n.Value
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if quoted || bytes.ContainsRune([]byte(text), '\n') {
		raw, _ := json.Marshal(text) // JSON's strings are YAML's double-quoted ones
		text = string(raw)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		text = n.Tag + " " + text
	}
	if err := yaml2.Unmarshal([]byte(text), &value); err != nil {
		return text, n.Value
	}
	return text, value
}

// toGo gives a node's value as distribution would see it under k, in the types
// that regctl.yaml keeps: map[string]any, []any and scalars.
func toGo(n *yaml.Node, k *key) any {
	n = resolve(n)
	if k == nil {
		k = &key{}
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		kept, _ := pairs(n)
		for _, p := range kept {
			under := k.keys[p.key.Value]
			if under == nil {
				under = k.each
			}
			m[p.key.Value] = toGo(p.value, under)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, element := range n.Content {
			list = append(list, toGo(element, k.each))
		}
		return list
	}
	_, value := scalar(n)
	if _, isText := value.(string); isText || value != nil && k.text {
		return n.Value
	}
	return value
}
