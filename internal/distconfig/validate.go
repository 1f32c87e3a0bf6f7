package distconfig

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Finding is one thing wrong with a config.yml.
type Finding struct {
	Line    int    `json:"line" yaml:"line"` // counted from 1
	Key     string `json:"key" yaml:"key"`   // dotted, as written: log.hooks[0].type; "" for the file itself
	Problem string `json:"problem" yaml:"problem"`
	Belongs string `json:"belongs,omitempty" yaml:"belongs,omitempty"` // the dotted key this one should be
}

// String is "LINE: KEY: what is wrong, where it belongs".
func (f Finding) String() string {
	s := fmt.Sprintf("%d: ", f.Line)
	if f.Key != "" {
		s += f.Key + ": "
	}
	s += f.Problem
	switch {
	case f.Belongs == "":
		return s
	case parent(f.Belongs) == parent(f.Key):
		return s + ", write " + f.Belongs
	case parent(f.Belongs) == "":
		return s + fmt.Sprintf(", it belongs at the top level, as %s", f.Belongs)
	default:
		return s + fmt.Sprintf(", it belongs under %s, as %s", parent(f.Belongs), f.Belongs)
	}
}

// Validate lists what distribution 3 would refuse or, without a word, ignore in
// a config.yml, sorted by line; nothing for a file it takes as it stands. Text
// that is no YAML is a finding too: the error is always nil today.
func Validate(data []byte) ([]Finding, error) {
	var findings []Finding
	for _, p := range examine(data, Embedded) {
		findings = append(findings, p.Finding)
	}
	return findings, nil
}

// kind says what can be done about a problem.
type kind int

const (
	broken  kind = iota // the registry would not start, or would take it for something else
	ignored             // distribution does not read the key
	missing             // a key is absent
)

// problem is a finding with what an import needs to mend it.
type problem struct {
	Finding
	kind  kind
	value *yaml.Node
}

// examine lists a file's problems for one flavour, sorted by line.
func examine(data []byte, f Flavour) []problem {
	doc, extra, err := readDocument(data)
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		return []problem{{Finding: Finding{Line: syntax.line, Problem: "this is not YAML: " + syntax.problem}}}
	}
	if doc == nil {
		return []problem{{Finding: Finding{Line: 1, Problem: "the file is empty"}}}
	}
	w := walker{root: newSchema(f), doc: doc}
	w.walk("", w.root, doc, doc)
	w.crossCheck()
	if extra > 0 {
		w.report(broken, extra, "", "distribution reads the first document alone, and a second begins here")
	}
	slices.SortStableFunc(w.problems, func(a, b problem) int { return cmp.Compare(a.Line, b.Line) })
	if len(w.problems) == 0 {
		if _, err := parse(data); err != nil {
			e := newSyntaxError(err)
			w.report(broken, e.line, "", "%s", e.problem)
		}
	}
	return w.problems
}

// crossCheck finds what only two keys together show.
func (w *walker) crossCheck() {
	storage := child(w.doc, "storage")
	if storage == nil {
		return
	}
	cache := child(storage, "cache")
	if cache == nil {
		return
	}
	for _, name := range []string{"blobdescriptor", "layerinfo"} {
		at := child(cache, name)
		if at == nil || at.Value != "redis" {
			continue
		}
		redis := child(w.doc, "redis")
		if redis == nil || child(redis, "addrs") == nil && child(redis, "addr") == nil {
			w.report(broken, at.Line, "storage.cache."+name, "redis is named here, but redis.addrs says nothing of where it is")
		}
	}
}
