package distconfig

import (
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
)

// key is one key that distribution reads, with what may stand under it. One
// with neither keys nor each nor rule takes anything.
type key struct {
	keys  map[string]*key // a mapping with these keys and no other
	order []string        // keys, as distribution declares them
	each  *key            // every element of a list or value of an open mapping
	list  bool
	rule  rule // a scalar, and what is wrong with a value
	text  bool // a scalar that distribution keeps as it is written

	named   map[string]*key // what to use instead, by the sibling key "name"
	need    []string        // keys without which the registry does not start
	unless  string          // need does not hold where this key is false
	single  []string        // keys of which there must be one at most
	must    bool            // and one at least
	renamed string          // the key that replaced this one in distribution 3
	gone    string          // why this program ignores or refuses the key
}

// newSchema builds the keys that a flavour knows.
func newSchema(f Flavour) *key {
	root := fromType(reflect.TypeFor[configuration.Configuration]())
	root.need = []string{"version", "storage"}
	addParameters(root)
	addRules(root)
	if f == Stock2 {
		limitToRegistry2(root)
	} else {
		retireRegistry2(root)
	}
	storage := root.keys["storage"]
	storage.single, storage.must = storage.drivers(), true
	return root
}

func fromType(t reflect.Type) *key {
	switch t {
	case reflect.TypeFor[configuration.Storage](), reflect.TypeFor[configuration.Auth]():
		return mapping()
	case reflect.TypeFor[http.Header]():
		return &key{each: &key{list: true, each: leaf(reflect.TypeFor[string]())}}
	case reflect.TypeFor[time.Duration]():
		return leaf(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fromType(t.Elem())
	case reflect.Struct:
		k := mapping()
		k.addFields(t)
		return k
	case reflect.Map:
		return &key{each: fromType(t.Elem())}
	case reflect.Slice:
		return &key{list: true, each: fromType(t.Elem())}
	case reflect.Interface:
		return &key{}
	default:
		return leaf(t)
	}
}

// addFields names fields as yaml.v2 does: by tag, else in lower case.
func (k *key) addFields(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" {
			k.addFields(field.Type)
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		k.add(name, fromType(field.Type))
	}
}

func mapping() *key { return &key{keys: map[string]*key{}} }

func (k *key) add(name string, child *key) *key {
	if _, known := k.keys[name]; !known {
		k.order = append(k.order, name)
	}
	k.keys[name] = child
	return child
}

// at gives the key at a dotted path, where [] stands for a list's elements, or
// nil.
func (k *key) at(path string) *key {
	for _, name := range strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".") {
		switch {
		case k == nil:
			return nil
		case name == "[]":
			k = k.each
		default:
			k = k.keys[name]
		}
	}
	return k
}

// rank orders the keys of a mapping as distribution declares them.
func (k *key) rank(name string) int {
	if k != nil {
		for i, n := range k.order {
			if n == name {
				return i
			}
		}
		return len(k.order)
	}
	return 0
}

// place is a key and where it is.
type place struct {
	path string
	key  *key
}

// places lists every key below k, in declared order, parents first.
func (k *key) places(path string) []place {
	var all []place
	if k.list && k.each != nil {
		return k.each.places(path + "[]")
	}
	for _, name := range k.order {
		child := k.keys[name]
		if !child.live() || name == "s3aws" {
			continue
		}
		p := join(path, name)
		all = append(all, place{p, child})
		all = append(all, child.places(p)...)
	}
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}
