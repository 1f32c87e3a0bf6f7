package spec

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

const minimal = "version: 1\nhosts: [registry.test]\nruntime: docker\n"

func TestParse(t *testing.T) {
	want := good()
	if got := mustParse(t, minimal); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	got := mustParse(t, `
version: 1
name: images
hosts: [Registry.test., registry.test, "[2001:DB8::1]"]
port: 443
bind: ""
tls: {mode: files, cert: /c, key: /k}
storage:
runtime: process
http2: true
config:
  log: {level: debug, fields: {since: 2020-01-01}}
  7: true
`)
	want = Default()
	want.Name, want.Hosts, want.Port, want.Runtime, want.HTTP2 = "images", []string{"registry.test", "2001:db8::1"}, 443, RuntimeProcess, true
	want.TLS.Mode, want.TLS.Cert, want.TLS.Key = TLSFiles, "/c", "/k"
	want.Config = map[string]any{
		"log": map[string]any{"level": "debug", "fields": map[string]any{"since": "2020-01-01"}},
		"7":   true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ data, want, hint string }{
		"empty":               {"", "f.yaml: it is empty", "init"},
		"comments alone":      {"# nothing\n", "f.yaml: it is empty", "init"},
		"a text":              {"hello", "f.yaml:1: not a list of keys", "init"},
		"a list":              {"- a", "f.yaml:1: not a list of keys", "init"},
		"no YAML":             {"version: 1\nhosts: [a\nport: 1\n", "f.yaml:2: not YAML", "quotes"},
		"tab":                 {"version: 1\ntls:\n\tmode: none\n", "f.yaml:3: not YAML", "indentation"},
		"bad indentation":     {"version: 1\nname: x1\n  port: 2\n", "f.yaml:3: not YAML", "indentation"},
		"missing colon":       {"version: 1\nname: x1\nport 2\nhosts: []\n", "f.yaml:3: not YAML", "indentation"},
		"binary":              {"version: \x01\n", "f.yaml:1: not YAML", ""},
		"two documents":       {minimal + "---\nversion: 1\n", "f.yaml: there is more", "one registry"},
		"no version":          {"hosts: [a.test]\n", "f.yaml: version: it is missing", "version: 1"},
		"newer version":       {"shiny: true\nversion: 2\n", "f.yaml:2: version: 2 is newer", "newer one"},
		"version no number":   {"version: one\n", "f.yaml:1: version: want a whole number", "quotes"},
		"no hosts":            {"version: 1\nruntime: docker\n", "f.yaml: hosts: there is none", "registry.test"},
		"no runtime":          {"version: 1\nhosts: [a.test]\n", "f.yaml: runtime: it is missing", "docker"},
		"unknown key":         {minimal + "prot: 5000\n", "f.yaml:4: unknown key prot", "did you mean port?"},
		"unknown in section":  {minimal + "tls:\n  mode: none\n  keytype: x\n", "f.yaml:6: unknown key tls.keytype", "did you mean tls.keyType?"},
		"key of a section":    {minimal + "driver: filesystem\n", "f.yaml:4: unknown key driver", "did you mean storage.driver?"},
		"key of the top":      {minimal + "tls: {image: x}\n", "f.yaml:4: unknown key tls.image", "did you mean image?"},
		"distribution's key":  {minimal + "log: {level: debug}\n", "f.yaml:4: unknown key log", "config.log"},
		"nothing near":        {minimal + "qqqqqqqqqqq: 1\n", "f.yaml:4: unknown key qqqqqqqqqqq", "known are version, name"},
		"twice":               {minimal + "port: 1\nport: 2\n", "f.yaml:5: port: it is given twice, first on line 4", "one of them"},
		"twice deep down":     {minimal + "config:\n  log:\n    level: a\n    level: b\n", "f.yaml:7: level: it is given twice", "one of them"},
		"quoted number":       {minimal + `port: "5000"` + "\n", `f.yaml:4: port: want a whole number, not the text "5000"`, "without quotes"},
		"number with a dot":   {minimal + "port: 50.5\n", "f.yaml:4: port: want a whole number, not 50.5", "number"},
		"yes":                 {minimal + "http2: yes\n", `f.yaml:4: http2: want true or false, not the text "yes"`, "true"},
		"list for a text":     {minimal + "name: [a]\n", "f.yaml:4: name: want a text, not a list", "TEXT"},
		"text for a list":     {"version: 1\nhosts: a.test\n", `f.yaml:2: hosts: want a list, not the text "a.test"`, "hosts: [a.test]"},
		"mapping in a list":   {"version: 1\nhosts:\n  - a: b\n", "f.yaml:3: hosts: an entry cannot be a mapping", "text"},
		"text for a section":  {minimal + "tls: selfsigned\n", "f.yaml:4: tls: want keys below it", "mode: selfsigned"},
		"text for config":     {minimal + "config: x\n", "f.yaml:4: config: want distribution's own keys", "level"},
		"bad host":            {"version: 1\nhosts:\n  - good.test\n  - 'bad one'\nruntime: docker\n", `f.yaml:2: hosts: "bad one" is more than one host`, "one name"},
		"bad port":            {minimal + "port: 70000\n", "f.yaml:4: port: 70000 is no port", "65535"},
		"bad mode":            {minimal + "tls:\n  mode: non\n", `f.yaml:5: tls.mode: unknown value "non"`, "did you mean none?"},
		"missing in section":  {minimal + "tls:\n  mode: files\n  cert: /c\n", "f.yaml:4: tls.key: --tls files needs it", "--key FILE"},
		"anchor":              {minimal + "name: &a x1\n", "f.yaml:4: anchors", "in full"},
		"alias":               {minimal + "config: {a: &x {}, b: *x}\n", "f.yaml:4: anchors", "in full"},
		"merge":               {minimal + "config: {<<: {a: b}}\n", "f.yaml:4: anchors", "in full"},
		"tag":                 {minimal + "config: {a: !!binary aGk=}\n", "f.yaml:4: the type !!binary", "tag"},
		"mapping as a key":    {minimal + "config: {{a: b}: c}\n", "f.yaml:4: a list or mapping cannot be a key", "word"},
		"list as a known key": {minimal + "[port]: 1\n", "f.yaml:4: a list or mapping cannot be a key", "word"},
	} {
		_, err := Parse("f.yaml", []byte(tc.data))
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\n got %v\nwant %s", name, err, tc.want)
			continue
		}
		if !strings.Contains(fault.Hint(err), tc.hint) || strings.Contains(fault.Hint(err), "\n") || !fault.IsUsage(err) {
			t.Errorf("%s: hint %q, want %q", name, fault.Hint(err), tc.hint)
		}
	}
}

// TestDocumentedExample parses the example that docs/configuration.md gives.
func TestDocumentedExample(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example in docs/configuration.md")
	}
	mustParse(t, example)
}
