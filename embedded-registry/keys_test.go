package embeddedregistry

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/fault"
)

// fill sets everything below v to something that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Interface:
	default:
		panic("what is a " + v.Kind().String())
	}
}

// Every key of distribution's configuration has an owner, and every owner a key: a
// new distribution with a new key fails here.
func TestEveryKeyHasAnOwner(t *testing.T) {
	owners := keyOwners()
	unused := maps.Clone(owners)
	var config configuration.Configuration
	fill(reflect.ValueOf(&config).Elem())
	keys := 0
	walkKeys(reflect.ValueOf(&config).Elem(), "", func(key string, v reflect.Value) {
		keys++
		if v.IsZero() {
			t.Fatalf("%s: this test left it zero", key)
		}
		o, ok := ownerOf(owners, key)
		if !ok {
			t.Errorf("%s: neither honoured nor refused", key)
		}
		maps.DeleteFunc(unused, func(k string, _ owner) bool { return k == key || strings.HasPrefix(key, k+".") })

		// It alone set, it is refused if and only if the table says so.
		var one configuration.Configuration
		setKey(reflect.ValueOf(&one).Elem(), key)
		err := checkKeys(&one)
		switch {
		case (o.who == "refused") != (err != nil):
			t.Errorf("%s: owner %q, but checkKeys says %v", key, o.who, err)
		case err != nil && (!strings.HasPrefix(err.Error(), key+":") || fault.Hint(err) == "" || !fault.IsUsage(err)):
			t.Errorf("%s: %v (hint %q)", key, err, fault.Hint(err))
		}
	})
	if keys < 100 {
		t.Errorf("found %d keys only", keys)
	}
	if len(unused) > 0 {
		t.Errorf("owners of no key: %q", slices.Sorted(maps.Keys(unused)))
	}
}

// setKey fills in the one field that key names, with what leads there.
func setKey(v reflect.Value, key string) {
	full := reflect.New(v.Type()).Elem()
	fill(full)
	walkKeys(full, "", func(k string, leaf reflect.Value) {
		if k != key {
			leaf.SetZero()
		}
	})
	v.Set(full)
}
