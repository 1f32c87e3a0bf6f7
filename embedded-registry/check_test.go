package embeddedregistry

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestCheck(t *testing.T) {
	const (
		start   = "version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\n"
		storage = "version: 0.1\nhttp: {addr: ':5000'}\nstorage: {filesystem: {rootdirectory: /d}, "
		tls     = start + "http: {addr: ':5000', tls: {certificate: /c, key: /k, "
	)
	for name, c := range map[string]struct {
		config string
		want   string // in the error; "" means none
	}{
		"plain":          {start + "http: {addr: ':5000'}\n", ""},
		"inmemory":       {"version: 0.1\nstorage: inmemory\nhttp: {addr: ':5000'}\n", ""},
		"old loglevel":   {start + "loglevel: debug\nhttp: {addr: ':5000'}\n", ""},
		"post's hooks":   {start + "http: {addr: ':5000'}\nlog: {hooks: [{type: mail, disabled: true, levels: [panic], options: {smtp: {addr: 'm:25', insecure: true}}}]}\n", ""},
		"debug empty":    {start + "http: {addr: ':5000', debug: {prometheus: {enabled: false}}}\n", ""},
		"purging":        {storage + "maintenance: {uploadpurging: {enabled: true, age: 1h, interval: 1h, dryrun: false}, readonly: {enabled: false}}}\n", ""},
		"purging off":    {storage + "maintenance: {uploadpurging: {enabled: false}}}\n", ""},
		"tls":            {tls + "minimumtls: tls1.3, clientcas: [/ca], clientauth: request-client-cert}}\n", ""},
		"middleware off": {start + "http: {addr: ':5000'}\nmiddleware: {registry: [{name: x, disabled: true, options: {}}]}\n", ""},

		"not yaml":           {"version: [", "yaml: "},
		"wrong kinds":        {"version: 0.1\nlog: [1]\nhttp: 5\n", "unmarshal errors: line 2: "},
		"no version":         {"storage: inmemory\n", `unsupported version: ""`},
		"no storage":         {"version: 0.1\n", "no storage configuration"},
		"two storages":       {"version: 0.1\nstorage: {filesystem: {}, inmemory: {}}\n", "exactly one storage type"},
		"cloud":              {"version: 0.1\nhttp: {addr: ':5000'}\nstorage: {swift: {bucket: b}}\n", "storage.swift: this build has no such storage driver"},
		"dropped driver":     {"version: 0.1\nhttp: {addr: ':5000'}\nstorage: {swift: {}}\n", "storage.swift: "},
		"letsencrypt":        {start + "http: {addr: ':5000', tls: {letsencrypt: {cachefile: /c}}}\n", "http.tls.letsencrypt.cachefile: "},
		"debug":              {start + "http: {addr: ':5000', debug: {addr: ':5001'}}\n", "http.debug.addr: "},
		"prometheus":         {start + "http: {addr: ':5000', debug: {prometheus: {enabled: true}}}\n", "http.debug.prometheus.enabled: "},
		"net":                {start + "http: {addr: ':5000', net: udp}\n", "http.net: "},
		"old tls":            {tls + "minimumtls: tls1.1}}\n", `http.tls.minimumtls: unknown version "tls1.1"`},
		"cipher":             {tls + "ciphersuites: [ROT13]}}\n", `http.tls.ciphersuites: unknown cipher suite "ROT13"`},
		"no key":             {start + "http: {addr: ':5000', tls: {certificate: /c}}\n", "http.tls: certificate and key"},
		"tls without either": {start + "http: {addr: ':5000', tls: {clientcas: [/c]}}\n", "http.tls: has settings but no certificate"},
		"clientauth alone":   {tls + "clientauth: request-client-cert}}\n", "http.tls.clientauth: "},
		"clientauth unknown": {tls + "clientauth: maybe}}\n", "invalid ClientAuth"},
		"formatter":          {start + "http: {addr: ':5000'}\nlog: {formatter: xml}\n", "log.formatter: "},
		"level":              {start + "log: {level: loud}\n", "invalid loglevel"},
		"hook":               {start + "http: {addr: ':5000'}\nlog: {hooks: [{type: slack}]}\n", "log.hooks: "},
		"hook level":         {start + "http: {addr: ':5000'}\nlog: {hooks: [{type: mail, levels: [loud]}]}\n", "log.hooks.levels: "},
		"purging true":       {storage + "maintenance: {uploadpurging: true}}\n", "storage.maintenance.uploadpurging: "},
		"purging partly":     {storage + "maintenance: {uploadpurging: {enabled: true, age: 1h}}}\n", "storage.maintenance.uploadpurging.interval: "},
		"purging dryrun":     {storage + "maintenance: {uploadpurging: {age: 1h, interval: 1h}}}\n", "storage.maintenance.uploadpurging.dryrun: "},
		"readonly true":      {storage + "maintenance: {readonly: true}}\n", "storage.maintenance.readonly: "},
		"redirect":           {storage + "redirect: {}}\n", "storage.redirect: "},
		"tag":                {storage + "tag: {concurrencylimit: many}}\n", "storage.tag.concurrencylimit: "},
		"cache":              {storage + "cache: {blobdescriptor: redis}}\n", "storage.cache.blobdescriptor: "},
		"maxtags":            {start + "tags: {maxtags: -1}\n", "tags.maxtags: "},
		"auth":               {start + "http: {addr: ':5000'}\nauth: {silly: {}}\n", "auth.silly: "},
		"middleware":         {start + "http: {addr: ':5000'}\nmiddleware: {storage: [{name: cloudfront, options: {}}]}\n", "middleware.storage: "},
		"our middleware":     {start + "http: {addr: ':5000'}\nmiddleware: {repository: [{name: regctl-eventless, options: {}}]}\n", "middleware.repository: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check([]byte(c.config))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("more than a line: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err)):
				t.Errorf("got %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestParseExtra(t *testing.T) {
	for text, want := range map[string]struct {
		extra extra
		err   string
	}{
		"":                      {},
		"# a comment\n":         {},
		"http2: true\n":         {extra: extra{HTTP2: true}},
		"http2: false\n":        {},
		"\nhttp2: true\nfoo: 1": {err: `3: unknown key "foo"`},
		"http2: yes please\n":   {err: `1: http2: want true or false, not "yes please"`},
		"http2: 'true'\n":       {err: `1: http2: want true or false`},
		"- http2\n":             {err: "1: want `key: value` lines"},
		"http2: [\n":            {err: "yaml: line"},
	} {
		got, err := parseExtra([]byte(text))
		if want.err == "" {
			if err != nil || got != want.extra {
				t.Errorf("%q: %v, %v", text, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want.err) || !fault.IsUsage(err) {
			t.Errorf("%q: got %v, want %s", text, err, want.err)
		}
	}
}
