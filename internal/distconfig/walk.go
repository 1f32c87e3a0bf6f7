package distconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// walker compares a document with the keys distribution knows.
type walker struct {
	root     *key
	doc      *yaml.Node
	problems []problem
	partial  bool // a fragment: what it lacks may stand elsewhere
}

func (w *walker) report(k kind, line int, path, format string, args ...any) {
	w.problems = append(w.problems, problem{kind: k, Finding: Finding{
		Line: line, Key: path, Problem: fmt.Sprintf(format, args...),
	}})
}

// walk checks the value n of the key at, whose place is path.
func (w *walker) walk(path string, k *key, at, n *yaml.Node) {
	n = resolve(n)
	switch {
	case k.keys == nil && k.each == nil && k.rule == nil:
		return
	case isNull(n) && k.rule == nil:
		w.checkMapping(path, k, at, nil)
	case k.rule != nil:
		w.walkScalar(path, k, n)
	case k.list:
		w.walkList(path, k, n)
	case n.Kind == yaml.MappingNode:
		w.walkMapping(path, k, at, n)
	case k.single != nil && n.Kind == yaml.ScalarNode:
		// storage and auth may be the bare name of a driver.
		if !slices.Contains(k.single, n.Value) {
			w.report(broken, n.Line, path, "%s is none of %s", n.Value, strings.Join(k.choices(), ", "))
		}
	default:
		w.report(broken, n.Line, path, "%s where keys belong%s", shape(n), k.example())
	}
}

func (w *walker) walkScalar(path string, k *key, n *yaml.Node) {
	switch n.Kind {
	case yaml.SequenceNode:
		hint := ""
		if len(n.Content) == 1 && n.Style&yaml.FlowStyle != 0 {
			hint = ": write it without the brackets"
		}
		w.report(broken, n.Line, path, "a list where one value belongs%s", hint)
	case yaml.MappingNode:
		w.report(broken, n.Line, path, "keys where one value belongs")
	default:
		if problem := k.rule(scalar(n)); problem != "" {
			w.report(broken, n.Line, path, "%s", problem)
		}
	}
}

func (w *walker) walkList(path string, k *key, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		w.report(broken, n.Line, path, "%s where a list belongs: write [%s]", shape(n), n.Value)
		return
	}
	for i, element := range n.Content {
		w.walk(fmt.Sprintf("%s[%d]", path, i), k.each, element, element)
	}
}

func (w *walker) walkMapping(path string, k *key, at, n *yaml.Node) {
	kept, overridden := pairs(n)
	for _, p := range overridden {
		again := slices.IndexFunc(kept, func(q pair) bool { return q.key.Value == p.key.Value })
		w.report(ignored, p.key.Line, join(path, p.key.Value),
			"overridden by the same key on line %d", kept[again].key.Line)
	}
	for _, p := range kept {
		w.walkPair(path, k, n, p)
	}
	w.checkMapping(path, k, at, kept)
}

func (w *walker) walkPair(path string, k *key, in *yaml.Node, p pair) {
	name := p.key.Value
	here := join(path, name)
	known := k.keys[name]
	if known == nil {
		known = k.each
	}
	switch {
	case p.key.Kind != yaml.ScalarNode:
		w.report(broken, p.key.Line, path, "a key that is not text")
	case known == nil:
		w.misplaced(path, k, p)
	case known.renamed != "":
		w.problems = append(w.problems, problem{kind: ignored, value: p.value, Finding: Finding{
			Line: p.key.Line, Key: here, Problem: "registry 2's key, which distribution 3 does not read", Belongs: known.renamed,
		}})
	case known.gone != "":
		what := ignored
		if k.must {
			what = broken
		}
		w.report(what, p.key.Line, here, "%s", known.gone)
	default:
		if variant := known.named[nameOf(in)]; variant != nil {
			known = variant
		}
		w.walk(here, known, p.key, p.value)
	}
}

// checkMapping looks for keys that must stand together, or may not.
func (w *walker) checkMapping(path string, k *key, at *yaml.Node, kept []pair) {
	if w.partial {
		return
	}
	present := map[string]*yaml.Node{}
	var chosen []string
	for _, p := range kept {
		present[p.key.Value] = p.value
		if slices.Contains(k.single, p.key.Value) {
			chosen = append(chosen, p.key.Value)
		}
	}
	if len(chosen) > 1 {
		w.report(broken, at.Line, path, "%s are given, and only one may be", strings.Join(chosen, " and "))
	}
	if k.must && len(chosen) == 0 {
		w.report(missing, at.Line, path, "no driver is given: one of %s", strings.Join(k.choices(), ", "))
	}
	if kept == nil && path != "" {
		return // an empty section is as good as none
	}
	if off := present[k.unless]; off != nil {
		if _, value := scalar(off); value == false {
			return
		}
	}
	for _, name := range k.need {
		if present[name] == nil {
			w.report(missing, at.Line, join(path, name), "missing, and the registry does not start without it")
		}
	}
}

// choices are the drivers that this program has.
func (k *key) choices() []string {
	return slices.DeleteFunc(slices.Clone(k.single), func(name string) bool { return !k.keys[name].live() || name == "s3aws" })
}

func nameOf(n *yaml.Node) string {
	if name := child(n, "name"); name != nil {
		return name.Value
	}
	return ""
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys"
	}
	return "the value " + n.Value
}

func (k *key) example() string {
	if len(k.order) == 0 {
		return ""
	}
	return ", such as " + k.order[0] + ":"
}
