package trust

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func daemonSeeds() []string {
	return []string{
		"", "\n", "{}", "{ }", "{\n}\n", `{"hosts": ["fd://"]}`,
		"{\r\n\t\"data-root\": \"/srv/dück\",\r\n\t\"insecure-registries\": [\r\n\t\t\"a.test\",\r\n\t\t\"b.test\"\r\n\t]\r\n}\r\n",
		`{"insecure-registries":[],"registry-mirrors":[ ]}`, `{"insecure-registries":["a"],"registry-mirrors":["https://m.test"]}`,
		"{\n  \"log-opts\": {\"max-size\": \"10m\"} ,\n  \"insecure-registries\" : [ \"a\" , \"b\" ] , \"x\":1 }",
	}
}

func TestDaemonJSON(t *testing.T) {
	insecure := DaemonJSON{InsecureRegistries, addrA}
	for _, c := range []struct{ name, data, want string }{
		{"missing", "", "{\n    \"insecure-registries\": [\"registry.test:5000\"]\n}\n"},
		{"CRLF and tabs", "{\r\n\t\"dns\": [\"é\"]\r\n}\r\n", "{\r\n\t\"dns\": [\"é\"],\r\n\t\"insecure-registries\": [\"registry.test:5000\"]\r\n}\r\n"},
		{"one line", `{"debug":true}`, `{"debug":true, "insecure-registries": ["registry.test:5000"]}`},
		{"a list of lines", "{\"insecure-registries\": [\n    \"a\"\n  ], \"hosts\": [\"fd://\"]}", "{\"insecure-registries\": [\n    \"a\",\n    \"registry.test:5000\"\n  ], \"hosts\": [\"fd://\"]}"},
		{"there already", `{"insecure-registries":["registry.test:5000"]}`, `{"insecure-registries":["registry.test:5000"]}`},
		{"there with a scheme", `{"insecure-registries":["http://registry.test:5000"]}`, `{"insecure-registries":["http://registry.test:5000"]}`},
	} {
		if got, err := insecure.Apply([]byte(c.data)); err != nil || string(got) != c.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", c.name, err, got, c.want)
		}
	}
}

func TestDaemonJSONRefuses(t *testing.T) {
	insecure := DaemonJSON{InsecureRegistries, addrA}
	for _, c := range []struct{ name, data, want string }{
		{"comment", "{\n  // why\n  \"debug\": true\n}", "line 2: not JSON"},
		{"trailing comma", "{\n  \"debug\": true,\n}", "line 3: not JSON"},
		{"cut off", "{\n \"a\": [1,\n", "line 2: not JSON"},
		{"not an object", "[]", "line 1: not a JSON object"},
		{"not a list", "{\n\"insecure-registries\": \"a\"}", "line 2: insecure-registries is not a list"},
		{"null", `{"insecure-registries": null}`, "is not a list"},
		{"twice", "{\"insecure-registries\": [],\n\"insecure-registries\": []}", "line 2: insecure-registries is there twice"},
		{"byte order mark", "\xef\xbb\xbf{}", "byte order mark"},
		{"Latin-1", "{\n\"a\": \"\xfc\"}", "line 2: not UTF-8"},
	} {
		_, err := insecure.Apply([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Hint(err) == "" {
			t.Errorf("%s: got %v (hint %q), want %q", c.name, err, fault.Hint(err), c.want)
		}
	}
}

func TestDaemonJSONEmptied(t *testing.T) {
	insecure := DaemonJSON{InsecureRegistries, addrA}
	data, err := insecure.Apply([]byte(`{"debug": true}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := insecure.Emptied(data); !ok || string(got) != `{"debug": true, "insecure-registries": []}` {
		t.Errorf("emptied: %q, %v", got, ok)
	}
	if _, ok := insecure.Emptied([]byte(`{"insecure-registries": ["a", "registry.test:5000"]}`)); ok {
		t.Error("a list that keeps an entry needs no emptying")
	}
}
