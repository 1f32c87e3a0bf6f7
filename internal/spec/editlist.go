package spec

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// editList changes the entries of a block list: those that stay keep their lines,
// comments above them included.
func (t *text) editList(list *yaml.Node, want []any) bool {
	if len(want) == 0 || len(list.Content) == 0 {
		return false
	}
	var have []any
	line := 0
	for _, item := range list.Content {
		dash := item.Line > line && strings.HasPrefix(strings.TrimSpace(t.lines[item.Line-1]), "- ")
		if item.Kind != yaml.ScalarNode || !dash || item.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			return false
		}
		line = item.Line
		have = append(have, plainValue(item))
	}
	if slices.ContainsFunc(want, func(v any) bool { return !isScalar(v) }) {
		return false
	}
	first := t.lines[list.Content[0].Line-1]
	dash := first[:strings.Index(first, "-")+1]
	kept := common(have, want)
	shift, i := 0, 0
	at := list.Content[0].Line - 1 // the line behind which the next entry goes
	for _, v := range want {
		for len(kept) > 0 && v == kept[0] && i < len(have) && have[i] != v {
			t.splice(list.Content[i].Line-1+shift, 1, nil)
			shift--
			i++
		}
		if len(kept) > 0 && v == kept[0] {
			at = list.Content[i].Line + shift
			kept = kept[1:]
			i++
			continue
		}
		t.splice(at, 0, []string{dash + " " + flowText(v) + t.eol})
		shift++
		at++
	}
	for ; i < len(have); i++ {
		t.splice(list.Content[i].Line-1+shift, 1, nil)
		shift--
	}
	return true
}

// common is the longest common subsequence of two short lists.
func common(a, b []any) []any {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	best := make([][][]any, len(a)+1)
	for i := range best {
		best[i] = make([][]any, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			switch {
			case a[i] == b[j]:
				best[i][j] = append([]any{a[i]}, best[i+1][j+1]...)
			case len(best[i+1][j]) >= len(best[i][j+1]):
				best[i][j] = best[i+1][j]
			default:
				best[i][j] = best[i][j+1]
			}
		}
	}
	return best[0][0]
}
