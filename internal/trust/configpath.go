package trust

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// ConfigPath is config_path in containerd's config.toml: the folder whose
// hosts.toml files its CRI plugin reads (containerd, docs/hosts.md). It is set
// only where it is unset and no registry is set up in the older way: with both
// the CRI plugin does not load, which is a dead node.
//
// All registries of a client share the setting. Each has a comment of its own in
// the file, and the last to leave takes the setting along.
type ConfigPath struct {
	ID    string // the registry's address
	Major int    // of containerd: the plugin has another name from 2 on
	Dir   string
}

// Part implements Editor.
func (c ConfigPath) Part() string {
	return partName("config_path", c.ID, strconv.Itoa(c.Major), c.Dir)
}

const (
	sharedID = "config_path"                   // the mark's ID of the setting
	needed   = "# config_path is for"          // the text of a registry's comment
	wasText  = markText + " config_path, was:" // the mark of a setting that was there, empty
)

// tables are the registry tables of the CRI plugin by the file's version.
func criTable(version int) []string {
	switch {
	case version >= 3:
		return []string{"plugins", "io.containerd.cri.v1.images", "registry"}
	case version == 2:
		return []string{"plugins", "io.containerd.grpc.v1.cri", "registry"}
	default:
		return []string{"plugins", "cri", "registry"}
	}
}

// Has implements Editor.
func (c ConfigPath) Has(data []byte) bool {
	dir, err := ConfigPathIn(data)
	if err != nil || dir == "" {
		return false
	}
	return !oursIn(data) || len(removeMarked(data, c.ID)) < len(data)
}

// oursIn reports whether the config_path there is regctl's.
func oursIn(data []byte) bool {
	return bytes.Contains(data, []byte(wasText)) || len(removeMarked(data, sharedID)) < len(data)
}

// ConfigPathIn is the config_path that a config.toml sets; "" for none. It may be
// a list of folders with colons between them.
func ConfigPathIn(data []byte) (string, error) {
	all, err := tomlIndex(data)
	if err != nil {
		return "", err
	}
	e, _ := findTOML(all, false, append(criTable(versionIn(data)), "config_path")...)
	return e.text, nil
}

// versionIn is the version that a config.toml declares; 1 where it does not.
func versionIn(data []byte) int {
	decoded, err := decodeTOML(data)
	top, ok := decoded.(map[string]any)
	if err != nil || !ok {
		return 1
	}
	if v, ok := top["version"].(int64); ok {
		return int(v)
	}
	return 1
}

// Apply implements Editor.
func (c ConfigPath) Apply(data []byte) ([]byte, error) {
	if c.Has(data) {
		return data, nil
	}
	after := removeMarked(data, c.ID)
	if !oursIn(data) {
		var err error
		if after, err = c.set(after); err != nil {
			return nil, err
		}
	}
	return settled(data, appendMarked(after, c.ID, ownLine{text: needed}), c, decodeConfig)
}

// decodeConfig leaves an unset config_path out of the comparison: it is what we set.
func decodeConfig(data []byte) (any, error) {
	decoded, err := decodeTOML(data)
	if err != nil {
		return nil, err
	}
	if registry, ok := dig(decoded, criTable(versionIn(data))...).(map[string]any); ok && registry["config_path"] == "" {
		delete(registry, "config_path")
	}
	return decoded, nil
}

// set gives the file the setting, without a comment that says for whom.
func (c ConfigPath) set(data []byte) ([]byte, error) {
	all, err := tomlIndex(data)
	if err != nil {
		return nil, err
	}
	table := criTable(versionIn(data))
	set := "config_path = " + tomlText(c.Dir)
	if strings.TrimSpace(string(data)) == "" {
		version := 2
		if c.Major >= 2 {
			version = 3
		}
		return appendMarked(data, sharedID, ownLine{text: fmt.Sprintf("version = %d", version)},
			ownLine{text: header(criTable(version))}, ownLine{text: "  " + set}), nil
	}
	if err := noOldRegistries(all, table); err != nil {
		return nil, err
	}
	if e, ok := findTOML(all, false, append(table, "config_path")...); ok {
		return replaceEmpty(data, e, set)
	}
	for _, e := range all {
		if e.table && slices.Equal(e.path, table) {
			return insertMarked(data, e.line, sharedID, ownLine{text: "  " + set}), nil
		}
	}
	return appendMarked(data, sharedID, ownLine{text: header(table)}, ownLine{text: "  " + set}), nil
}

func header(path []string) string {
	var parts []string
	for _, p := range path {
		if strings.Contains(p, ".") {
			p = tomlText(p)
		}
		parts = append(parts, p)
	}
	return "[" + strings.Join(parts, ".") + "]"
}

// replaceEmpty puts our line in the place of an empty config_path, which it keeps
// behind its mark.
func replaceEmpty(data []byte, e tomlEntry, set string) ([]byte, error) {
	all := lines(data)
	line := all[e.line-1]
	body := strings.TrimRight(line, "\r\n")
	indent := body[:len(body)-len(strings.TrimLeft(body, " \t"))]
	if e.value != unstable.String || strings.Contains(body, "{") {
		return nil, refuse(e.line, "set config_path by hand", "config_path is set in a way that regctl does not edit")
	}
	all[e.line-1] = indent + set + " " + wasText + body + line[len(body):]
	return []byte(strings.Join(all, "")), nil
}

// Remove implements Editor.
func (c ConfigPath) Remove(data []byte) ([]byte, error) {
	data = removeMarked(data, c.ID)
	if bytes.Contains(data, []byte(needed+" "+markText)) {
		return data, nil // another registry of ours
	}
	all := lines(data)
	for i, line := range all {
		if _, was, found := strings.Cut(line, wasText); found {
			all[i] = was
			return []byte(strings.Join(all, "")), nil
		}
	}
	return removeMarked(data, sharedID), nil
}

// noOldRegistries refuses a file that sets registries up in tables of config.toml.
// Headings without anything in them, as `containerd config default` prints them,
// are no obstacle.
func noOldRegistries(all []tomlEntry, table []string) error {
	var found []string
	first := 0
	for _, name := range []string{"mirrors", "configs"} {
		path := slices.Concat(table, []string{name})
		for _, e := range all {
			deeper := len(e.path) > len(path) && slices.Equal(e.path[:len(path)], path)
			inline := !e.table && slices.Equal(e.path, path)
			if deeper || inline {
				found = append(found, fmt.Sprintf("%s (line %d)", name, e.line))
				if first == 0 || e.line < first {
					first = e.line
				}
				break
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return refuse(first, "move them into hosts.toml files, set config_path and run the same command again",
		"registries are set up by %s, and containerd's CRI plugin does not load with config_path beside them", strings.Join(found, " and "))
}
