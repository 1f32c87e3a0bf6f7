package distconfig

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// misplaced reports a key that distribution does not know where it stands: a
// slip of the pen, else one that belongs elsewhere, else unknown.
func (w *walker) misplaced(path string, k *key, p pair) {
	found := problem{kind: ignored, value: p.value, Finding: Finding{
		Line: p.key.Line, Key: join(path, p.key.Value), Problem: "distribution ignores it here",
	}}
	name := p.key.Value
	if path == "" && p.value.Anchor != "" {
		return // a holder of what the document repeats elsewhere
	}
	if k.must {
		found.Problem, found.kind = "distribution takes it for a storage driver, and knows none of that name", broken
	}
	if same := k.spelled(name); same != "" {
		found.Problem += "; did you mean " + same + "?"
		w.problems = append(w.problems, found)
		return
	}
	best, others := w.belongs(name, path, p.value)
	near := k.nearest(name)
	switch {
	case best.path != "":
		found.Belongs, found.kind = best.path, ignored
		if above := child(w.doc, parent(best.path)); parent(path) == "" && above != nil && isNull(above) {
			found.Problem += " (and " + parent(best.path) + " stays empty)"
		}
	case near != "":
		found.Problem += "; did you mean " + near + "?"
	case len(others) > 0 && len(others) <= 3:
		found.Problem += "; it is a key of " + strings.Join(others, ", of ")
	}
	w.problems = append(w.problems, found)
	if best.path != "" {
		w.walk(found.Key, best.key, p.key, p.value)
	}
}

// belongs finds where a key of this name belongs, going by what stands under it
// and which sections the document has; others are the parents of such keys
// when none of them is clearly the one.
func (w *walker) belongs(name, path string, value *yaml.Node) (best place, others []string) {
	score := -1
	tie := false
	named := slices.DeleteFunc(w.root.places(""), func(c place) bool { return base(c.path) != name })
	fits := slices.ContainsFunc(named, func(c place) bool { return c.key.takes(value) })
	for _, c := range named {
		if fits && !c.key.takes(value) {
			continue
		}
		others = append(others, strings.TrimSuffix(parent(c.path), "[]"))
		s := w.score(c, path)
		switch {
		case s < 0:
		case s > score:
			best, score, tie = c, s, false
		case s == score && strings.Count(c.path, ".") < strings.Count(best.path, "."):
			best, tie = c, false
		case s == score && strings.Count(c.path, ".") == strings.Count(best.path, "."):
			tie = true
		}
	}
	if tie || score < 0 {
		return place{}, others
	}
	return best, nil
}

// score is how likely a misplaced key belongs at c, below 0 for not at all.
func (w *walker) score(c place, path string) int {
	s := 0
	if driver := driverOf(c.path); driver != "" && path != "" {
		if storage := child(w.doc, "storage"); storage != nil && child(storage, driver) == nil {
			return -1 // another driver's parameter
		}
	}
	if !strings.Contains(c.path, "[]") {
		s += 2
	}
	if w.has(parent(c.path)) {
		s += 4
	}
	if path != "" && strings.HasPrefix(c.path, path+".") {
		s++
	}
	return s
}

// has reports whether the document has the section at a dotted path.
func (w *walker) has(path string) bool {
	n := w.doc
	if path == "" {
		return true
	}
	for _, name := range strings.Split(path, ".") {
		if n = child(n, name); n == nil {
			return false
		}
	}
	return true
}

// driverOf names the storage driver whose parameter a path is, or "".
func driverOf(path string) string {
	parts := strings.Split(path, ".")
	if len(parts) < 3 || parts[0] != "storage" || slices.Contains(sections, parts[1]) {
		return ""
	}
	return parts[1]
}

// takes reports whether a value has the shape of what belongs under k.
func (k *key) takes(n *yaml.Node) bool {
	switch {
	case isNull(n):
		return true
	case k.rule != nil:
		return n.Kind == yaml.ScalarNode
	case k.list:
		return n.Kind == yaml.SequenceNode
	case n.Kind != yaml.MappingNode:
		return false
	case k.keys == nil:
		return true
	}
	kept, _ := pairs(n)
	return slices.ContainsFunc(kept, func(p pair) bool { return k.keys[p.key.Value] != nil })
}

// spelled finds a key that differs in case and separators alone.
func (k *key) spelled(name string) string {
	for _, known := range k.order {
		if plain(known) == plain(name) && k.keys[known].live() {
			return known
		}
	}
	return ""
}

// nearest finds the key most like a misspelt one, or "".
func (k *key) nearest(name string) string {
	limit := (len(name) + 2) / 3
	best, distance := "", limit+1
	for _, known := range k.order {
		if !k.keys[known].live() {
			continue
		}
		d := levenshtein.ComputeDistance(plain(known), plain(name))
		if min(len(name), len(known)) >= 4 && (strings.HasPrefix(known, plain(name)) || strings.HasPrefix(plain(name), known)) {
			d = min(d, limit) // rootdir, address
		}
		if d < distance {
			best, distance = known, d
		}
	}
	return best
}

func (k *key) live() bool { return k.gone == "" && k.renamed == "" }

func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

func base(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
