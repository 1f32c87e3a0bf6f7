package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// distributionKeys are the sections of distribution's own config.yml, which
// people put where ours are.
var distributionKeys = []string{
	"log", "loglevel", "middleware", "http", "notifications", "health", "catalog", "validation", "policy",
}

// structure fills a struct from a mapping, key by key.
func (r *reader) structure(m *yaml.Node, into reflect.Value, path string) error {
	if isNull(m) {
		return nil
	}
	if m.Kind != yaml.MappingNode {
		return r.at(m, "for example "+example(path), "%s: want keys below it, not %s", path, kindOf(m))
	}
	fields := fieldsOf(into.Type())
	for i := 0; i < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		at := join(path, key.Value)
		index, known := fields.index[key.Value]
		if !known {
			return r.at(key, unknownHint(key.Value, path, fields.keys), "unknown key %s", at)
		}
		r.lines[at] = key.Line
		if err := r.value(value, into.Field(index), at); err != nil {
			return err
		}
	}
	return nil
}

// value fills one field. An empty value leaves what is there.
func (r *reader) value(n *yaml.Node, into reflect.Value, path string) error {
	if isNull(n) {
		return nil
	}
	wrong := func(want, hint string) error { return r.at(n, hint, "%s: want %s, not %s", path, want, kindOf(n)) }
	switch into.Kind() {
	case reflect.Struct:
		return r.structure(n, into, path)
	case reflect.String:
		if n.Kind != yaml.ScalarNode {
			return wrong("a text", "write "+path+": TEXT")
		}
		into.SetString(n.Value)
	case reflect.Int:
		var number int
		if n.ShortTag() != "!!int" || n.Decode(&number) != nil {
			return wrong("a whole number", "a number without quotes")
		}
		into.SetInt(int64(number))
	case reflect.Bool:
		var yes bool
		if n.ShortTag() != "!!bool" || n.Decode(&yes) != nil {
			return wrong("true or false", "write "+path+": true")
		}
		into.SetBool(yes)
	case reflect.Slice:
		return r.list(n, into, path)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			return wrong("distribution's own keys below it", "for example "+example(path))
		}
		if config := plainValue(n).(map[string]any); len(config) > 0 {
			into.Set(reflect.ValueOf(config))
		}
	}
	return nil
}

func (r *reader) list(n *yaml.Node, into reflect.Value, path string) error {
	if n.Kind != yaml.SequenceNode {
		return r.at(n, fmt.Sprintf("write %s: [%s]", path, n.Value), "%s: want a list, not %s", path, kindOf(n))
	}
	if into.Type().Elem().Kind() == reflect.Struct {
		return r.structures(n, into, path)
	}
	var items []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || isNull(item) {
			return r.at(item, "each entry is a text", "%s: an entry cannot be %s", path, kindOf(item))
		}
		items = append(items, item.Value)
	}
	into.Set(reflect.ValueOf(items))
	return nil
}

// structures fills a list whose entries are mappings.
func (r *reader) structures(n *yaml.Node, into reflect.Value, path string) error {
	list := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.lines[at] = item.Line
		if item.Kind != yaml.MappingNode {
			return r.at(item, "for example "+example(path), "%s: want keys below it, not %s", at, kindOf(item))
		}
		if err := r.structure(item, list.Index(i), at); err != nil {
			return err
		}
	}
	if list.Len() > 0 {
		into.Set(list)
	}
	return nil
}

// unknownHint names the known key that was most probably meant.
func unknownHint(key, path string, known []string) string {
	if path == "proxy" && slices.Contains([]string{"remoteurl", "username", "password", "ttl", "exec"}, key) {
		return "proxy is the web server in front; what distribution calls so goes under config: config.proxy." + key
	}
	if path == "redis" && slices.Contains([]string{"addr", "addrs", "username", "password", "db", "tls", "pool"}, key) {
		return "redis is url, passwordFile and ca; distribution's own keys go under config: config.redis." + key
	}
	if best, near := nearest(key, known); near {
		return "did you mean " + join(path, best) + "?"
	}
	for _, d := range distributionKeys {
		if path == "" && key == d {
			return "distribution's own keys go under config: config." + key
		}
	}
	if path == "auth" && key == AuthToken {
		return "write auth: {mode: token} with tokenServer: builtin or tokenRealm; distribution's own keys go under config: config.auth.token"
	}
	if path == "auth" && (key == "silly" || key == AuthHtpasswd) {
		return "write auth: {mode: htpasswd}; distribution's own keys go under config: config.auth." + key
	}
	for _, section := range []string{"", "tls", "auth", "proxy", "redis", "storage", "mirror", "swarm"} {
		if _, ok := sectionFields(section).index[key]; ok && section != path {
			return "did you mean " + join(section, key) + "?"
		}
	}
	best, _ := nearest(key, known)
	return fmt.Sprintf("the nearest is %s; known are %s", join(path, best), strings.Join(known, ", "))
}

// fields are a struct's keys in regctl.yaml, in their order.
type fields struct {
	keys  []string
	index map[string]int
}

func fieldsOf(t reflect.Type) fields {
	f := fields{index: map[string]int{}}
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		f.keys = append(f.keys, key)
		f.index[key] = i
	}
	return f
}

// sectionFields are the keys of the whole ("") or of one of its sections.
func sectionFields(section string) fields {
	switch section {
	case "":
		return fieldsOf(reflect.TypeFor[Spec]())
	case "tls":
		return fieldsOf(reflect.TypeFor[TLS]())
	case "auth":
		return fieldsOf(reflect.TypeFor[Auth]())
	case "proxy":
		return fieldsOf(reflect.TypeFor[Proxy]())
	case "redis":
		return fieldsOf(reflect.TypeFor[Redis]())
	case "storage":
		return fieldsOf(reflect.TypeFor[Storage]())
	case "mirror":
		return fieldsOf(reflect.TypeFor[Mirror]())
	case "swarm":
		return fieldsOf(reflect.TypeFor[Swarm]())
	}
	return fields{}
}

func example(path string) string {
	switch path {
	case "storage":
		return "storage: {driver: filesystem}"
	case "storage.options":
		return "storage: {driver: s3, options: {bucket: images, region: eu-central-1}}"
	case "config":
		return "config: {log: {level: debug}}"
	case "auth":
		return "auth: {mode: htpasswd}"
	case "proxy":
		return "proxy: {kind: nginx}"
	case "redis":
		return "redis: {url: redis://cache.example.com:6379}"
	case "auth.rules":
		return `- {who: [alice], repositories: ["team/**"], actions: [pull, push]}`
	case "mirror":
		return "mirror: {of: docker.io}"
	case "swarm":
		return `swarm: {constraints: ["node.labels.registry==yes"]}`
	}
	return "tls: {mode: selfsigned}"
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
