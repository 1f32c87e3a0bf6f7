package spec

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

// commented is a file as its owner has it: odd indentation, comments everywhere,
// quotes of all kinds.
const commented = `# my registry
---
version: 1   # never touch

name: 'registry'
hosts:   # who we are
    # the main one
    -   registry.test    # in DNS
    - "registry"
    # by address
    - 192.0.2.10
    # end of hosts

port:    5000      # not 443
tls:
   mode: selfsigned
   # how long
   certDays: 365 # a year
   keyType: "ecdsa256"   # fast

storage: {driver: filesystem, volume: images}  # on the big disk
runtime: docker
# what distribution needs
config:
  log:
    level: info   # or debug
    fields: {service: registry, 'env': "it's, \"x\""}
  http:
    headers:
      X-Content-Type-Options: [nosniff]
# the end
`

func mustParse(t testing.TB, data string) Spec {
	t.Helper()
	s, err := Parse("regctl.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cloneSpec(s Spec) Spec {
	s.Hosts, s.AddHosts = slices.Clone(s.Hosts), slices.Clone(s.AddHosts)
	if s.Config != nil {
		s.Config = cloneConfig(s.Config)
	}
	return s
}

func cloneConfig(m map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range out {
		if sub, ok := v.(map[string]any); ok {
			out[k] = cloneConfig(sub)
		}
	}
	return out
}

// lineDiff lists the lines of a that b lacks (-) and the other way round (+).
func lineDiff(a, b string) []string {
	var out []string
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, l := range linesA {
		if !slices.Contains(linesB, l) {
			out = append(out, "-"+l)
		}
	}
	for _, l := range linesB {
		if !slices.Contains(linesA, l) {
			out = append(out, "+"+l)
		}
	}
	return out
}

func TestEditChangesOnlyItsLines(t *testing.T) {
	config := func(s *Spec) map[string]any { return s.Config }
	for _, tc := range []struct {
		name   string
		change func(*Spec)
		want   []string
	}{
		{"nothing", func(*Spec) {}, nil},
		{"a number", func(s *Spec) { s.Port = 5001 }, []string{
			"-port:    5000      # not 443", "+port:    5001      # not 443",
		}},
		{"a quoted text", func(s *Spec) { s.TLS.KeyType = "rsa2048"; s.Name = "images" }, []string{
			"-name: 'registry'", `-   keyType: "ecdsa256"   # fast`,
			"+name: images", `+   keyType: rsa2048   # fast`,
		}},
		{"a new key", func(s *Spec) { s.Bind = "::1"; s.HTTP2 = true }, []string{
			`+bind: ::1`, "+http2: true",
		}},
		{"a new key in a section", func(s *Spec) { s.TLS.CADays = 400 }, []string{"+   caDays: 400"}},
		{"a new list", func(s *Spec) { s.AddHosts = []string{"cache.test:10.0.0.5"} }, []string{
			"+addHosts:", "+  - cache.test:10.0.0.5",
		}},
		{"list grows", func(s *Spec) { s.Hosts = append(s.Hosts, "2001:db8::1", "b.test") }, []string{
			`+    - "2001:db8::1"`, "+    - b.test",
		}},
		{"list shrinks", func(s *Spec) { s.Hosts = slices.Delete(s.Hosts, 1, 2) }, []string{`-    - "registry"`}},
		{"list begins anew", func(s *Spec) { s.Hosts[0] = "new.test" }, []string{
			"-    -   registry.test    # in DNS", "+    - new.test",
		}},
		{"flow mapping", func(s *Spec) { s.Storage.Volume = "" }, []string{
			"-storage: {driver: filesystem, volume: images}  # on the big disk",
			"+storage: {driver: filesystem}  # on the big disk",
		}},
		{"key removed", func(s *Spec) { delete(config(s)["log"].(map[string]any), "level") }, []string{
			"-    level: info   # or debug",
		}},
		{"key deep down", func(s *Spec) { config(s)["log"].(map[string]any)["level"] = "debug" }, []string{
			"-    level: info   # or debug", "+    level: debug   # or debug",
		}},
		{"key deep down in flow style", func(s *Spec) {
			config(s)["log"].(map[string]any)["fields"].(map[string]any)["env"] = "test"
		}, []string{
			`-    fields: {service: registry, 'env': "it's, \"x\""}`, `+    fields: {service: registry, 'env': test}`,
		}},
		{"new section", func(s *Spec) { config(s)["health"] = map[string]any{"storagedriver": map[string]any{"enabled": true}} }, []string{
			"+  health:", "+    storagedriver:", "+      enabled: true",
		}},
		{"section removed", func(s *Spec) { delete(config(s), "http") }, []string{
			"-  http:", "-    headers:", "-      X-Content-Type-Options: [nosniff]",
		}},
		{"flow list", func(s *Spec) {
			config(s)["http"].(map[string]any)["headers"].(map[string]any)["X-Content-Type-Options"] = []any{"a, b", "c"}
		}, []string{
			"-      X-Content-Type-Options: [nosniff]", `+      X-Content-Type-Options: ['a, b', c]`,
		}},
		{"config removed", func(s *Spec) { s.Config = nil }, []string{
			"-config:", "-  log:", "-    level: info   # or debug", `-    fields: {service: registry, 'env': "it's, \"x\""}`,
			"-  http:", "-    headers:", "-      X-Content-Type-Options: [nosniff]",
		}},
	} {
		for eol, data := range map[string]string{"LF": commented, "CRLF": strings.ReplaceAll(commented, "\n", "\r\n")} {
			t.Run(tc.name+" "+eol, func(t *testing.T) {
				old := mustParse(t, data)
				want := cloneSpec(old)
				tc.change(&want)
				out, err := Edit([]byte(data), old, want)
				if err != nil {
					t.Fatal(err)
				}
				if got := mustParse(t, string(out)); !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v\nwant %+v", got, want)
				}
				if eol == "CRLF" {
					if strings.Count(string(out), "\n") != strings.Count(string(out), "\r\n") {
						t.Errorf("mixed line ends:\n%q", out)
					}
					out = []byte(strings.ReplaceAll(string(out), "\r\n", "\n"))
				}
				if got := lineDiff(commented, string(out)); !slices.Equal(got, tc.want) {
					t.Errorf("changed lines:\n%s\nwant:\n%s\n\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"), out)
				}
			})
		}
	}
}

// TestEditOddForms edits what cannot be changed line by line; what counts is that
// the result is right and that comments stay.
func TestEditOddForms(t *testing.T) {
	for name, data := range map[string]string{
		"all flow":          `{version: 1, hosts: [registry.test], runtime: docker}`,
		"multi-line flow":   "version: 1\nhosts: [registry.test, # keep\n  other.test]\nruntime: docker\n",
		"no final newline":  "version: 1\nruntime: docker\nhosts:\n- registry.test",
		"empty section":     "version: 1\nhosts: [registry.test]\ntls:  # keep\nruntime: docker\n",
		"explicit keys":     "? version\n: 1\n? hosts\n: [registry.test]\n? runtime\n: docker\n? port\n: 5000\n",
		"byte order mark":   "\ufeffversion: 1\nhosts: [registry.test]\nruntime: docker # keep\n",
		"document end":      "version: 1\nhosts: [registry.test]\nruntime: docker # keep\n...\n",
		"block scalar":      "version: 1\nhosts: [registry.test]\nruntime: >-\n  docker\nname: |-\n  registry\n",
		"quoted keys":       "\"version\": 1\n'hosts': [registry.test]\n\"runtime\": docker\n\"port\": 5000 # keep\n",
		"one-line list":     "version: 1\nhosts:\n  - registry.test\n  - >-\n    other.test\nruntime: docker\n",
		"doubles":           "version: 1\nhosts: [Registry.Test., registry.test]\nruntime: docker\n",
		"odd line ends":     "version: 1\rhosts: [registry.test]\rruntime: docker\r",
		"name beyond ASCII": "version: 1\nhosts: [bücher.test]\nruntime: docker\nconfig: {log: {fields: {ü: é}}}  # ü keep\n",
	} {
		t.Run(name, func(t *testing.T) {
			old := mustParse(t, data)
			want := cloneSpec(old)
			want.Port, want.TLS.Mode, want.Runtime, want.Name = 6000, TLSNone, RuntimeProcess, "other"
			want.Hosts = append(want.Hosts, "third.test")
			want.Config = map[string]any{"log": map[string]any{"level": "debug", "accesslog": map[string]any{"disabled": true}}}
			out, err := Edit([]byte(data), old, want)
			if err != nil {
				t.Fatal(err)
			}
			if got := mustParse(t, string(out)); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v\n%s", got, want, out)
			}
			if strings.Contains(data, "keep") && !strings.Contains(string(out), "keep") {
				t.Errorf("a comment is gone:\n%s", out)
			}
			back, err := Edit(out, want, old)
			if err != nil {
				t.Fatalf("and back: %v\n%s", err, out)
			}
			if got := mustParse(t, string(back)); !reflect.DeepEqual(got, old) {
				t.Errorf("and back: got %+v\nwant %+v\n%s", got, old, back)
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	old := mustParse(t, commented)
	other, bad := cloneSpec(old), cloneSpec(old)
	other.Port, bad.Port = 6000, 70000
	if _, err := Edit([]byte(commented), other, old); err == nil || fault.Hint(err) == "" {
		t.Errorf("a file that says something else: %v", err)
	}
	if _, err := Edit([]byte(commented), old, bad); err == nil || !fault.IsUsage(err) {
		t.Errorf("an invalid spec: %v", err)
	}
	if _, err := Edit([]byte("port: ["), old, old); err == nil || !fault.IsUsage(err) {
		t.Errorf("no YAML: %v", err)
	}
}
