package statedir

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestFind(t *testing.T) {
	data := t.TempDir()
	root := filepath.Join(data, "regctl")
	registry := func(name string) {
		must(t, os.MkdirAll(filepath.Join(root, name), 0o700))
		must(t, Save(Dir(filepath.Join(root, name)), newState(name, nil)))
	}
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for _, pair := range append(pairs, "XDG_DATA_HOME="+data, "REGCTL_CONFIG=/elsewhere") {
				if value, ok := strings.CutPrefix(pair, key+"="); ok {
					return value
				}
			}
			return ""
		}
	}
	find := func(dir, name string, env func(string) string) string {
		t.Helper()
		d, err := Find(dir, name, env, 1000)
		must(t, err)
		return string(d)
	}
	wd, err := os.Getwd()
	must(t, err)
	for _, tt := range []struct{ got, want string }{
		{find("/srv/r", "x", env("REGCTL_DIR=/srv/e")), "/srv/r"},
		{find("here", "", env()), filepath.Join(wd, "here")},
		{find("", "x", env("REGCTL_DIR=/srv/e")), "/srv/e"},
		{find("", "x", env()), filepath.Join(root, "x")},
		{find("", "", env()), filepath.Join(root, "registry")},
	} {
		if tt.got != tt.want {
			t.Errorf("found %s, want %s", tt.got, tt.want)
		}
	}

	must(t, os.MkdirAll(filepath.Join(root, "not-ours"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, "not-ours", "file"), nil, 0o600))
	registry("prod")
	if got := find("", "", env()); got != filepath.Join(root, "prod") {
		t.Errorf("the only one is prod, found %s", got)
	}
	if d, err := FindNew("", "", env(), 1000); err != nil || string(d) != filepath.Join(root, "registry") {
		t.Errorf("a new one is at %s, %v", d, err)
	}
	registry("dev")
	if _, err := Find("", "", env(), 1000); err == nil || !fault.IsUsage(err) || !strings.HasSuffix(err.Error(), ": dev, prod") {
		t.Errorf("two of them: %v", err)
	}
	registry("registry")
	if got := find("", "", env()); got != filepath.Join(root, "registry") {
		t.Errorf("found %s, want the one of the default name", got)
	}
	for _, name := range []string{"../x", "a/b", ".hidden", "a b", "-x"} {
		if _, err := Find("", name, env(), 1000); !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestRoot(t *testing.T) {
	for _, tt := range []struct {
		xdg, home string
		euid      int
		want      string
	}{
		{"/x", "/home/u", 0, "/var/lib/regctl"},
		{"/x", "/home/u", 1000, "/x/regctl"},
		{"", "/home/u", 1000, "/home/u/.local/share/regctl"},
		{"relative", "/home/u", 1000, "/home/u/.local/share/regctl"},
	} {
		env := map[string]string{"XDG_DATA_HOME": tt.xdg, "HOME": tt.home}
		got, err := Root(func(key string) string { return env[key] }, tt.euid)
		if err != nil || got != tt.want {
			t.Errorf("%+v: %s, %v", tt, got, err)
		}
	}
}

func TestClassify(t *testing.T) {
	kept, damaged := `{"schemaVersion":1,"phase":"kept"}`, `{"schem`
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Class
	}{
		{"empty", nil, Class{Kind: Empty}},
		{"lock alone", map[string]string{"lock": "", "lost+found/x": "", ".regctl-1-00000000.tmp": ""}, Class{Kind: Empty}},
		{"spec", map[string]string{"regctl.yaml": "", "a": ""}, Class{Kind: Ours}},
		{"journal", map[string]string{"journal": "", "a": ""}, Class{Kind: Ours}},
		{"state", map[string]string{"state.json": `{"schemaVersion":1,"phase":"ready"}`, "data/docker/x": ""}, Class{Kind: Ours}},
		{"damaged", map[string]string{"state.json": damaged}, Class{Kind: Ours}},
		{"kept", map[string]string{"state.json": kept, "data/docker/x": ""}, Class{Kind: Kept}},
		{"foreign", map[string]string{"a": "", "b": "", "c/d": "", "e": ""}, Class{Foreign, []string{"a", "b", "c"}}},
		{"data alone", map[string]string{"data/x": ""}, Class{Foreign, []string{"data"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Dir(t.TempDir())
			for name, data := range tt.files {
				must(t, os.MkdirAll(filepath.Dir(d.Join(name)), 0o700))
				must(t, os.WriteFile(d.Join(name), []byte(data), 0o600))
			}
			if got, err := Classify(d); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	if got, err := Classify(Dir(filepath.Join(t.TempDir(), "none"))); err != nil || got.Kind != Absent {
		t.Errorf("%+v, %v", got, err)
	}
	file := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := Classify(Dir(file)); err == nil || !fault.IsUsage(err) || err.Error() != file+" is not a directory" {
		t.Error(err)
	}
}
