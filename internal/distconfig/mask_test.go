package distconfig

import (
	"bytes"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestMask(t *testing.T) {
	const m = masked
	for _, test := range []struct{ name, in, want string }{
		{"plain", "http:\n  secret: abc # why\n  addr: :5000\n", "http:\n  secret: " + m + " # why\n  addr: :5000\n"},
		{"double", `password: "a\"b" # c`, `password: ` + m + ` # c`},
		{"single", `password: 'it''s'`, `password: ` + m},
		{"flow", `redis: {password: x, db: 1}`, `redis: {password: ` + m + `, db: 1}`},
		{"json", `{"proxy":{"password":"x y","username":"u"}}`, `{"proxy":{"password":` + m + `,"username":"u"}}`},
		{"headers", "headers:\n  Authorization: [Bearer a, b]\n  X-A: [c]\n", "headers:\n  Authorization: [" + m + ", " + m + "]\n  X-A: [c]\n"},
		{"literal", "private_key: |\n  line one\n\n  line two\nnext: 1\n", "private_key: " + m + "\nnext: 1\n"},
		{"in a list", "- password: >-\n    a\n    b\n  user: c\n", "- password: " + m + "\n  user: c\n"},
		{"folded plain", "password: one\n  two\nuser: x\n", "password: " + m + "\nuser: x\n"},
		{"number", "password: 1234\n", "password: " + m + "\n"},
		{"anchor", "password: &p hidden\nlog: *p\n", "password: &p " + m + "\nlog: *p\n"},
		{"alias", "x: &p hidden\npassword: *p\n", "x: &p " + m + "\npassword: *p\n"},
		{"tag", "password: !!str 12\n", "password: !!str " + m + "\n"},
		{"empty", "password: \"\"\nsecret:\n", "password: \"\"\nsecret:\n"},
		{"url", "remoteurl: https://me:hunter2@example.com/v2\n", "remoteurl: https://me:***@example.com/v2\n"},
		{"s3", "accesskey: a\nsecretkey: b\nregion: c\n", "accesskey: " + m + "\nsecretkey: " + m + "\nregion: c\n"},
		{"token is a section", "auth:\n  token:\n    realm: https://a\n", "auth:\n  token:\n    realm: https://a\n"},
		{"comment", "a: b\n#  password: hunter2\n", "a: b\n#  password: " + m + "\n"},
		{"crlf", "secret: a\r\nx: y\r\n", "secret: " + m + "\r\nx: y\r\n"},
		{"not ascii", "é: {ü: ü, secret: ä}\n", "é: {ü: ü, secret: " + m + "}\n"},
		{"bom", "\ufeffsecret: a\n", "\ufeffsecret: " + m + "\n"},
		{"documents", "a: 1\n---\nsecret: b\n", "a: 1\n---\nsecret: " + m + "\n"},
		{"no yaml", "a: [\nsecret: b # c\n  more\nx: y\n", "a: [\nsecret: " + m + "\n  " + m + "\nx: y\n"},
		{"empty file", "", ""},
	} {
		if got := string(Mask([]byte(test.in))); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestMaskOfEveryRendering(t *testing.T) {
	for _, r := range renderings {
		text, err := Render(r.spec, r.env)
		if err != nil {
			t.Fatal(err)
		}
		got := Mask(text)
		var doc any
		if err := yaml.Unmarshal(got, &doc); err != nil {
			t.Errorf("%s: what was YAML is none: %v", r.name, err)
		}
		for _, secret := range []string{"0123456789abcdef", "of my own", "Bearer t", `"0123"`} {
			if bytes.Contains(got, []byte(secret)) {
				t.Errorf("%s shows %s", r.name, secret)
			}
		}
	}
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{"secret: X\n", "a: {password: 'X'}", "password: |\n  X\n", "- secret: &a X\n- *a", "secret: >\n X\n\n b: c", "? secret\n: X"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Mask([]byte(text))
		if again := Mask(got); !bytes.Equal(got, again) && strings.Count(text, "secret") < 2 && yaml.Unmarshal([]byte(text), new(any)) == nil {
			t.Errorf("%q: masked %q, again %q", text, got, again)
		}
		leaks(t, text, got)
	})
}

// leaks fails when a secret of YAML is still in its masked text.
func leaks(t *testing.T, text string, got []byte) {
	var doc, masked yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) != nil || doc.Kind == 0 || yaml.Unmarshal(got, &masked) != nil {
		return
	}
	root := resolve(masked.Content[0])
	if root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		value := resolve(root.Content[i+1])
		if IsSecret(root.Content[i].Value) && value.Kind == yaml.ScalarNode && value.Value != "" && !isNull(value) && value.Value != "***" {
			t.Errorf("%q: %s shows %q", text, root.Content[i].Value, value.Value)
		}
	}
}
