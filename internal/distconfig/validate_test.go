package distconfig

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/testenv"
)

func TestValidateGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/validate/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			findings, err := Validate(read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			if len(findings) == 0 {
				t.Error("nothing found")
			}
			var out bytes.Buffer
			for i, f := range findings {
				fmt.Fprintln(&out, f)
				if i > 0 && f.Line < findings[i-1].Line {
					t.Errorf("line %d comes after line %d", f.Line, findings[i-1].Line)
				}
			}
			golden(t, "validate/"+strings.TrimSuffix(filepath.Base(file), ".yml")+".txt", out.Bytes())
		})
	}
}

// distributionDir is where the module distribution is unpacked.
func distributionDir(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "go")
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/distribution/distribution/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestValidateAcceptsDistributionsOwnFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(distributionDir(t), "cmd", "registry", "*.yml"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		findings, err := Validate(read(t, file))
		if err != nil || len(findings) > 0 {
			t.Errorf("%s: %v %v", filepath.Base(file), findings, err)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"bare driver":  "version: 0.1\nstorage: inmemory\nauth: none\n",
		"yes":          "version: 0.1\nstorage: {inmemory: , delete: {enabled: yes}}\n",
		"json":         `{"version": "0.1", "storage": {"filesystem": {"maxthreads": "100"}}}`,
		"null section": "version: 0.1\nstorage: inmemory\nhealth:\nhttp:\n  tls:\n",
		"purging off":  "version: 0.1\nstorage: {inmemory: {}, maintenance: {uploadpurging: {enabled: false}}}\n",
		"nanoseconds":  "version: 0.1\nstorage: inmemory\nhttp: {draintimeout: 60000000000}\n",
		"fields":       "version: 0.1\nstorage: inmemory\nlog: {fields: {anything: {goes: [here]}}}\n",
		"statuscode":   "version: 0.1\nstorage: inmemory\nhealth: {http: [{uri: 'http://x/', statuscode: 204, headers: {A: [b]}}]}\n",
		"options":      "version: 0.1\nstorage: inmemory\nmiddleware: {repository: [{name: mine, options: {a: b}}]}\n",
	} {
		if findings, _ := Validate([]byte(text)); len(findings) > 0 {
			t.Errorf("%s: %v", name, findings)
		}
	}
}

// Every key that distribution's types have must be one that this package knows.
func TestSchemaKnowsEveryField(t *testing.T) {
	root := newSchema(Embedded)
	var check func(path string, typ reflect.Type)
	check = func(path string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			if typ.Kind() == reflect.Slice {
				path += "[]"
			}
			typ = typ.Elem()
		}
		if path != "" && root.at(path) == nil {
			t.Errorf("%s is unknown", path)
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			switch {
			case options == "inline":
				check(path, field.Type)
			case name == "":
				check(join(path, strings.ToLower(field.Name)), field.Type)
			default:
				check(join(path, name), field.Type)
			}
		}
	}
	check("", reflect.TypeFor[configuration.Configuration]())
}
