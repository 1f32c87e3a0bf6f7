package spec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/secret"
)

// change is one key of regctl.yaml that differs between two specs.
type change struct {
	path     []string
	old, new any // nil where the key is absent
	remove   bool
}

// changes lists what differs between two trees, schema's keys in the schema's
// order and distribution's by name, as deep down as both sides have mappings.
func changes(old, new map[string]any, path []string) []change {
	var all []change
	for _, key := range keysOf(old, new, path) {
		at := append(slices.Clone(path), key)
		before, was := old[key]
		after, is := new[key]
		beforeMap, bothMaps := before.(map[string]any)
		afterMap, ok := after.(map[string]any)
		bothMaps = bothMaps && ok && len(beforeMap) > 0 && len(afterMap) > 0
		switch {
		case bothMaps:
			all = append(all, changes(beforeMap, afterMap, at)...)
		case was == is && reflect.DeepEqual(before, after):
		default:
			all = append(all, change{path: at, old: before, new: after, remove: !is})
		}
	}
	return all
}

// keysOf are the keys of both maps, in the order in which regctl.yaml has them.
func keysOf(a, b map[string]any, path []string) []string {
	rest := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for key := range m {
			rest[key] = true
		}
	}
	var ordered []string
	for _, key := range sectionFields(strings.Join(path, ".")).keys {
		if rest[key] {
			ordered = append(ordered, key)
			delete(rest, key)
		}
	}
	return append(ordered, slices.Sorted(maps.Keys(rest))...)
}

// Diff says what differs between two specs, one "key: old -> new" a line; no lines
// when they are the same. The values of distribution's keys that hold secrets are
// masked.
func Diff(a, b Spec) []string {
	old, errOld := tree(a)
	new, errNew := tree(b)
	if errOld != nil || errNew != nil {
		return []string{"config: a value that YAML cannot express"}
	}
	var lines []string
	for _, c := range changes(old, new, nil) {
		for _, leaf := range c.leaves() {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", strings.Join(leaf.path, "."), show(leaf.path, leaf.old), show(leaf.path, leaf.new)))
		}
	}
	return lines
}

// leaves splits a mapping that came or went into its keys.
func (c change) leaves() []change {
	old, oldMap := c.old.(map[string]any)
	new, newMap := c.new.(map[string]any)
	if !oldMap && !newMap || oldMap && newMap || oldMap && c.new != nil || newMap && c.old != nil {
		return []change{c}
	}
	var all []change
	for _, key := range keysOf(old, new, c.path) {
		sub := change{path: append(slices.Clone(c.path), key), old: old[key], new: new[key]}
		all = append(all, sub.leaves()...)
	}
	if len(all) == 0 {
		return []change{c}
	}
	return all
}

// secretWords mark the keys of distribution's configuration that hold secrets.
var secretWords = []string{"secret", "password", "accesskey", "accountkey", "authorization", "credential", "token"}

func show(path []string, v any) string {
	switch value := v.(type) {
	case nil:
		return "(not set)"
	case []any:
		parts := make([]string, len(value))
		for i := range value {
			parts[i] = show(path, value[i])
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		parts := []string{}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, key+": "+show(append(slices.Clone(path), key), value[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	for _, key := range path {
		for _, word := range secretWords {
			if (path[0] == "config" || path[0] == "storage") && strings.Contains(strings.ToLower(key), word) {
				return secret.Mask
			}
		}
	}
	return fmt.Sprint(v)
}
