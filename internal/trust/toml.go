package trust

import (
	"errors"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlEntry is one table heading or one key of a TOML file.
type tomlEntry struct {
	path  []string // from the top
	table bool
	line  int // counted from 1
	value unstable.Kind
	text  string // of a string value
}

func decodeTOML(data []byte) (any, error) {
	var all map[string]any
	err := toml.Unmarshal(data, &all)
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		line, _ := syntax.Position()
		return nil, refuse(line, "mend the file first", "not TOML: %v", err)
	}
	if err != nil {
		return nil, refuse(0, "mend the file first", "not TOML: %v", err)
	}
	return all, nil
}

// tomlIndex lists what a file that parses says, in its order. Keys inside inline
// tables and arrays are not listed.
func tomlIndex(data []byte) ([]tomlEntry, error) {
	if _, err := decodeTOML(data); err != nil {
		return nil, err
	}
	var all []tomlEntry
	var table []string
	var p unstable.Parser
	p.Reset(data)
	for p.NextExpression() {
		node := p.Expression()
		var key []string
		line := 0
		for it := node.Key(); it.Next(); {
			part := it.Node()
			if line == 0 {
				line = lineAt(data, int(part.Raw.Offset))
			}
			key = append(key, string(part.Data))
		}
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = key
			all = append(all, tomlEntry{path: key, table: true, line: line})
		case unstable.KeyValue:
			e := tomlEntry{path: slices.Concat(table, key), line: line, value: node.Value().Kind}
			if e.value == unstable.String {
				e.text = string(node.Value().Data)
			}
			all = append(all, e)
		}
	}
	return all, p.Error()
}

// findTOML gives the first entry at a path, or below it.
func findTOML(all []tomlEntry, below bool, path ...string) (tomlEntry, bool) {
	for _, e := range all {
		if slices.Equal(e.path, path) || below && len(e.path) > len(path) && slices.Equal(e.path[:len(path)], path) {
			return e, true
		}
	}
	return tomlEntry{}, false
}

// tomlText writes a basic string. What regctl writes holds no control characters.
func tomlText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// appendTOML puts lines of ours at the end of a file, which must parse before and
// after.
func appendTOML(e Editor, data []byte, id string, text ...string) ([]byte, error) {
	var own []ownLine
	for _, t := range text {
		own = append(own, ownLine{text: t})
	}
	return settled(data, appendMarked(data, id, own...), e, decodeTOML)
}
