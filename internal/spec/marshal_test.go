package spec

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the goldens anew")

func TestMarshal(t *testing.T) {
	full := good()
	full.Hosts = []string{"registry.example.com", "192.168.1.10", "::1"}
	full.Bind = "::1"
	full.TLS = TLS{Mode: TLSFiles, CertDays: 365, CADays: 3650, KeyType: "ecdsa256", Cert: "/etc/ssl/registry.crt", Key: "/etc/ssl/registry key", CACert: "/etc/ssl/ca.crt"}
	full.Storage.Volume, full.Image, full.HTTP2 = "images", "registry:2", true
	full.AddHosts = []string{"cache.test:10.0.0.5"}
	full.Config = map[string]any{"log": map[string]any{"level": "debug"}, "storage": map[string]any{"delete": map[string]any{"enabled": true}}}
	for name, s := range map[string]Spec{"default": good(), "full": full} {
		out, err := Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".yaml")
		if *update {
			if err := os.WriteFile(golden, out, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", golden, out, want)
		}
	}
	if _, err := Marshal(Spec{}); err == nil {
		t.Error("an empty spec is written")
	}
}

// TestMarshalledIsEdited keeps the comments of a fresh file through edits.
func TestMarshalledIsEdited(t *testing.T) {
	s := good()
	fresh, err := Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := cloneSpec(s)
	want.Port, want.Bind, want.Storage.Volume, want.Config = 5001, "127.0.0.1", "images", map[string]any{"log": map[string]any{"level": "debug"}}
	out, err := Edit(fresh, s, want)
	if err != nil {
		t.Fatal(err)
	}
	got := lineDiff(string(fresh), string(out))
	if !slices.Equal(got, []string{
		"-port: 5000               # the port that clients use",
		"+port: 5001               # the port that clients use",
		"+bind: 127.0.0.1", "+  volume: images", "+config:", "+  log:", "+    level: debug",
	}) {
		t.Errorf("changed lines:\n%s", strings.Join(got, "\n"))
	}
}

func TestDiff(t *testing.T) {
	a, b := good(), good()
	if d := Diff(a, b); len(d) != 0 {
		t.Errorf("equal specs differ: %v", d)
	}
	a.Config = map[string]any{"log": map[string]any{"level": "info"}, "redis": map[string]any{"password": "hunter2"}, "gone": 1}
	b.Port, b.Hosts, b.Bind = 5001, []string{"registry.test", "::1"}, "::1"
	b.TLS.Mode = TLSNone
	b.Config = map[string]any{"log": map[string]any{"level": "debug", "hooks": []any{"a", 2}}, "redis": map[string]any{"password": "hunter3"}}
	want := []string{
		"hosts: registry.test -> registry.test, ::1",
		"port: 5000 -> 5001",
		"bind: (not set) -> ::1",
		"tls.mode: selfsigned -> none",
		"config.gone: 1 -> (not set)",
		"config.log.hooks: (not set) -> a, 2",
		"config.log.level: info -> debug",
		"config.redis.password: *** -> ***",
	}
	if got := Diff(a, b); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	a.Config = nil
	if got := strings.Join(Diff(a, b), "\n"); !strings.Contains(got, "config.redis.password: (not set) -> ***") {
		t.Errorf("a section that came:\n%s", got)
	}
}

func TestMarshalStorageOptions(t *testing.T) {
	want := good()
	want.Storage = Storage{Driver: StorageAzure, Options: map[string]any{
		"accountname": "a", "container": "c", "max_retries": 3, "skipverify": true, "credentials": map[string]any{"type": "client_secret", "clientid": "0"},
	}}
	out, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse("regctl.yaml", out); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\ngot:  %+v\nwant: %+v\n%s", err, got, want, out)
	}
	edited := want
	edited.Storage = Storage{Driver: StorageS3, Options: map[string]any{"bucket": "b", "region": "us-east-1"}}
	again, err := Edit(out, want, edited)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse("regctl.yaml", again); err != nil || !reflect.DeepEqual(got, edited) {
		t.Fatalf("%v\n%s", err, again)
	}
}
