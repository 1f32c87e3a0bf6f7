package trustkit

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

func TestFolders(t *testing.T) {
	for _, tt := range []struct {
		host string
		port int
		want []string
	}{
		{"registry.test", 5000, []string{"registry.test:5000"}},
		{"registry.test", 443, []string{"registry.test", "registry.test:443"}},
		{"2001:db8::1", 5000, []string{"[2001:db8::1]:5000"}},
	} {
		if got := Folders(tt.host, tt.port); !slices.Equal(got, tt.want) {
			t.Errorf("%s, %d: %q, want %q", tt.host, tt.port, got, tt.want)
		}
	}
}

var registry = Registry{
	Name: "registry", Endpoint: "https://registry.test", Folders: Folders("registry.test", 443),
	CA: []byte("-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n"), Fingerprint: "AA:BB",
}

func TestYAML(t *testing.T) {
	files, err := Render(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name, ".yaml") {
			continue
		}
		var document any
		if err := yaml.Unmarshal(f.Data, &document); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	var cloud struct {
		Files []struct{ Path, Content string } `yaml:"write_files"`
	}
	if err := yaml.Unmarshal(files[2].Data, &cloud); err != nil || len(cloud.Files) != 2 {
		t.Fatalf("%v: %+v", err, cloud)
	}
	if f := cloud.Files[1]; f.Path != "/etc/docker/certs.d/registry.test:443/ca.crt" || f.Content != string(registry.CA) {
		t.Errorf("places %q at %s", f.Content, f.Path)
	}
}

func TestRefusesWhatAShellWouldRead(t *testing.T) {
	r := registry
	r.Endpoint = "https://registry.test'; rm -rf /"
	if _, err := Render(r); !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}
