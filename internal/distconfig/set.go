package distconfig

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// Set puts one of distribution's settings, written KEY.PATH=VALUE, into a
// spec's Config. Elements of a list are named by number, from 0; one past the
// last adds one. VALUE is a YAML scalar or flow collection, read as distribution
// reads it. An unknown key, a value of the wrong type and a key that regctl.yaml
// has a key of its own for are usage faults, and change nothing.
func Set(config map[string]any, assignment string) error {
	path, text, ok := strings.Cut(assignment, "=")
	if !ok || path == "" {
		return fault.Usage("for example --set storage.delete.enabled=true", "%q is not KEY=VALUE", assignment)
	}
	path = indexed.ReplaceAllString(path, ".$1")
	if hint := ownedHint(path); hint != "" {
		return fault.Usage(hint, "%s: regctl.yaml has a key of its own for this", path)
	}
	names := strings.Split(path, ".")
	k, err := lookUp(names)
	if err != nil {
		return err
	}
	value, err := parseValue(path, text, k)
	if err != nil {
		return err
	}
	if _, err = assign(config, newSchema(Embedded), names, value); err != nil {
		return fault.Usage(fault.Hint(err), "%s: %w", path, err)
	}
	return nil
}

const documented = "see https://distribution.github.io/distribution/about/configuration/ for the keys and what they take"

// indexed is a list's element as findings write it: [0].
var indexed = regexp.MustCompile(`\[(\d+)\]`)

// lookUp finds the key at a path, among those of either distribution: which one
// will run is known when the configuration is checked.
func lookUp(names []string) (*key, error) {
	k, err := newSchema(Embedded).descend(names)
	if err != nil {
		if old, err2 := newSchema(Stock2).descend(names); err2 == nil {
			return old, nil
		}
	}
	return k, err
}

func (k *key) descend(names []string) (*key, error) {
	for i, name := range names {
		path := strings.Join(names[:i+1], ".")
		switch {
		case k.keys == nil && k.each == nil && k.rule == nil:
			return k, nil // anything goes below
		case k.list:
			if _, err := strconv.ParseUint(name, 10, 16); err != nil {
				return nil, fault.Usage("an element is named by its number, from 0",
					"%s: %s is a list", path, strings.Join(names[:i], "."))
			}
			k = k.each
		case k.rule != nil:
			return nil, fault.Usage(documented, "%s: %s takes one value, not keys", path, strings.Join(names[:i], "."))
		case k.keys[name] == nil && k.each == nil:
			return nil, unknown(k, names[:i], name, names[i+1:])
		case k.keys[name] == nil:
			k = k.each
		case k.keys[name].gone != "":
			return nil, fault.Usage(documented, "%s: %s", path, k.keys[name].gone)
		case k.keys[name].renamed != "":
			return nil, fault.Usage("write "+k.keys[name].renamed, "%s: registry 2's key", path)
		default:
			k = k.keys[name]
		}
	}
	return k, nil
}

// unknown says which key was probably meant.
func unknown(k *key, above []string, name string, below []string) error {
	path := strings.Join(slices.Concat(above, []string{name}), ".")
	near := k.spelled(name)
	if near == "" {
		near = k.nearest(name)
	}
	elsewhere := anywhere(slices.Concat([]string{name}, below))
	hint := documented
	switch {
	case elsewhere != "" && (near == "" || plain(near) != plain(name)):
		hint = fmt.Sprintf("did you mean %s?", elsewhere)
	case near != "":
		hint = fmt.Sprintf("did you mean %s?", strings.Join(slices.Concat(above, []string{near}, below), "."))
	}
	return fault.Usage(hint, "unknown key %s", path)
}

// leads reports whether names is a path below k.
func (k *key) leads(names []string) bool {
	for _, name := range names {
		below := k.keys[name]
		if below == nil {
			below = k.each
		}
		if k = below; k == nil {
			return false
		}
	}
	return true
}

// anywhere finds the first key that ends in names, or "".
func anywhere(names []string) string {
	for _, p := range newSchema(Embedded).places("") {
		if base(p.path) != names[0] || strings.Contains(p.path, "[]") {
			continue
		}
		if p.key.leads(names[1:]) {
			return strings.Join(slices.Concat([]string{p.path}, names[1:]), ".")
		}
	}
	return ""
}

// parseValue reads a value as distribution would, and checks it against k.
func parseValue(path, text string, k *key) (any, error) {
	if text == "" && k.rule != nil {
		text = `""`
	}
	doc, _, err := readDocument([]byte(text))
	if err != nil || doc == nil {
		return nil, fault.Usage("quote it as YAML wants it", "%s: %q is no YAML value", path, text)
	}
	w := walker{root: newSchema(Embedded), doc: &yaml.Node{Kind: yaml.MappingNode}, partial: true}
	w.walk(path, k, doc, doc)
	if len(w.problems) > 0 {
		p := w.problems[0]
		return nil, fault.Usage(documented, "%s: %s", p.Key, p.Problem)
	}
	return toGo(doc, k), nil
}

// assign gives into with value at a path below it. Maps and lists that are
// there are changed in place, and only when the whole path can be followed.
func assign(into any, k *key, names []string, value any) (any, error) {
	if len(names) == 0 {
		return value, nil
	}
	name, rest := names[0], names[1:]
	if into == nil {
		into = map[string]any{}
		if k.list {
			into = []any{}
		}
	}
	below := k.keys[name]
	if below == nil {
		below = cmp.Or(k.each, &key{})
	}
	switch at := into.(type) {
	case map[string]any:
		v, err := assign(at[name], below, rest, value)
		if err == nil {
			at[name] = v
		}
		return at, err
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i > len(at) {
			return nil, fault.Usage(fmt.Sprintf("the list has %d elements so far, and element %d adds one", len(at), len(at)),
				"no element %s", name)
		}
		if i == len(at) {
			at = append(at, nil)
		}
		at[i], err = assign(at[i], below, rest, value)
		return at, err
	default:
		return nil, fault.Usage("take that setting out of config: in regctl.yaml first", "%v is set where %s would go", at, name)
	}
}
