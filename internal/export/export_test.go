package export_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/export"
	"github.com/regctl/regctl/internal/testenv"
)

var update = flag.Bool("update", false, "write the goldens anew")

func workload() export.Workload {
	return export.Workload{
		Name: "registry", Image: "regctl/registry:0123456789ab", Args: []string{"serve", "/serve/config.yml"},
		Health: []string{"/regctl", "probe", "/serve/config.yml"}, UID: 65532, GID: 65532,
		Bind: "192.0.2.1", Port: 443, Inside: 5000,
		Mounts: []export.Mount{
			{Source: "/var/lib/regctl/registry/serve", Target: "/serve", ReadOnly: true},
			{Source: "images", Target: "/var/lib/registry", Volume: true},
		},
		Env: []string{"A=50% of it"}, AddHosts: []string{"cache.test:192.0.2.7"},
		Files: map[string][]byte{"config.yml": []byte("version: 0.1\n"), "tls/current/key": []byte("a key")},
	}
}

func rendered(t *testing.T, name string, data []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Errorf("%s is now (go test -update writes it):\n%s", golden, data)
	}
	return data
}

// docker-compose, the one that Debian has, reads what it gets.
func TestCompose(t *testing.T) {
	data, err := export.Compose(workload())
	data = rendered(t, "compose.yaml", data, err)
	testenv.Need(t, "docker-compose")
	cmd := exec.CommandContext(t.Context(), "docker-compose", "-f", "-", "config")
	cmd.Stdin, cmd.Dir = bytes.NewReader(data), t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no-new-privileges:true") || !strings.Contains(string(out), "read_only: true") {
		t.Errorf("%v\n%s", err, out)
	}
}

// podman's own generator makes a service of it.
func TestQuadlet(t *testing.T) {
	data, err := export.Quadlet(workload())
	data = rendered(t, "registry.container", data, err)
	units := t.TempDir()
	if err := os.WriteFile(filepath.Join(units, "registry.container"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "github.com/containers/podman/v4/cmd/quadlet"), "-dryrun", t.TempDir())
	cmd.Env = append(os.Environ(), "QUADLET_UNIT_DIRS="+units)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "Warning") || strings.Contains(string(out), "unsupported key") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"--cap-drop=all", "--read-only", "--security-opt=no-new-privileges", "--user 65532:65532", "--publish 192.0.2.1:443:5000",
		`["CMD","/regctl","probe","/serve/config.yml"]`, "docker.io/regctl/registry:0123456789ab serve /serve/config.yml",
	} {
		if !strings.Contains(strings.ReplaceAll(string(out), `\"`, `"`), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

// The API's own types have every field, and no secret is shown unasked.
func TestKubernetes(t *testing.T) {
	data, err := export.Kubernetes(workload(), false)
	if bytes.Contains(data, []byte("YSBrZXk=")) {
		t.Error("the key is shown")
	}
	rendered(t, "kubernetes.yaml", data, err)
	shown, err := export.Kubernetes(workload(), true)
	if err != nil || !bytes.Contains(shown, []byte("tls_current_key: YSBrZXk=")) {
		t.Errorf("%v\n%s", err, shown)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "./kubecheck"))
	cmd.Stdin = bytes.NewReader(shown)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "Secret\nPersistentVolumeClaim\nDeployment\nService\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// tool builds a program of the module that checks what is exported.
func tool(t *testing.T, pkg string) string {
	t.Helper()
	testenv.Need(t, "go")
	bin := filepath.Join(t.TempDir(), "tool")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin, pkg)
	cmd.Dir = "../../.ci/tools/export"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return bin
}
