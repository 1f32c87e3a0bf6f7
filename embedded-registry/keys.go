package embeddedregistry

import (
	"reflect"
	"strings"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/fault"
)

// An owner says who makes a key of config.yml take effect.
type owner struct {
	who  string
	hint string // for refused keys: what to do instead
}

var (
	byApp   = owner{who: "app"}   // handlers.NewApp and what it calls
	byServe = owner{who: "serve"} // this package, or distribution's parser before it
)

func refused(hint string) owner { return owner{who: "refused", hint: hint} }

const (
	noACME  = "remove it and get the certificate with `regctl init --tls letsencrypt`, or name files in http.tls.certificate and key"
	noDebug = "remove it: the embedded registry serves no debug port, and registers nothing for one"
)

// keyOwners lists every key of distribution's configuration, or the longest prefix
// under which one owner has all. A test compares it with configuration.Configuration.
func keyOwners() map[string]owner {
	return map[string]owner{
		"version":  byServe,
		"log":      byServe, // hooks: NewApp adds them to the logger that we set up
		"loglevel": byServe,

		"storage":    byApp, // checkStorage first: NewApp panics on what it does not like
		"auth":       byApp, // checkAuth first: a missing htpasswd would be made up
		"middleware": byApp, // checkMiddleware first: NewApp learns of some at a request only

		"http.addr":         byServe,
		"http.net":          byServe,
		"http.host":         byApp,
		"http.prefix":       byApp,
		"http.secret":       byApp,
		"http.relativeurls": byApp,
		"http.draintimeout": byServe,
		"http.headers":      byApp,
		"http.http2":        byServe,
		"http.h2c":          byServe,

		"http.tls.certificate":  byServe,
		"http.tls.key":          byServe,
		"http.tls.clientcas":    byServe,
		"http.tls.clientauth":   byServe,
		"http.tls.minimumtls":   byServe,
		"http.tls.ciphersuites": byServe,
		"http.tls.letsencrypt":  refused(noACME),

		"http.debug": refused(noDebug),

		"notifications": byApp,
		"redis":         byApp,
		"health":        byServe, // with distribution's checks, in a registry of our own
		"catalog":       byApp,
		"tags":          byApp,
		"proxy":         byApp,
		"validation":    byApp,
		"policy":        byApp,
	}
}

// ownerOf finds the entry for a key; ok is false when there is none.
func ownerOf(owners map[string]owner, key string) (o owner, ok bool) {
	for {
		if o, ok = owners[key]; ok {
			return o, true
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return owner{}, false
		}
		key = key[:i]
	}
}

// checkKeys refuses the first key that is set and that nobody honours.
func checkKeys(config *configuration.Configuration) error {
	owners := keyOwners()
	var err error
	walkKeys(reflect.ValueOf(config).Elem(), "", func(key string, v reflect.Value) {
		if err != nil || v.IsZero() {
			return
		}
		switch o, ok := ownerOf(owners, key); {
		case !ok:
			err = fault.Usage("remove it", "%s: the embedded registry does not know this key", key)
		case o.hint != "":
			err = fault.Usage(o.hint, "%s: the embedded registry does not honour this key", key)
		}
	})
	return err
}

// walkKeys visits every key below v by its dotted name in config.yml. Maps are one
// key; elements of a list share the name of the list.
func walkKeys(v reflect.Value, key string, visit func(string, reflect.Value)) {
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer && !v.IsNil():
		walkKeys(v.Elem(), key, visit)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			walkKeys(v.Index(i), key, visit)
		}
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			switch {
			case strings.Contains(options, "inline"):
				name = key
			case name == "": // as yaml does
				name = strings.ToLower(t.Field(i).Name)
				fallthrough
			default:
				name = strings.TrimPrefix(key+"."+name, ".")
			}
			walkKeys(v.Field(i), name, visit)
		}
	default:
		visit(key, v)
	}
}
