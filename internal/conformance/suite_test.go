package conformance

import (
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	mainMod      = "../../go.mod"
	toolsMod     = "../../.ci/tools/oci/go.mod"
	suiteModule  = "github.com/opencontainers/distribution-spec/conformance"
	distribution = "github.com/distribution/distribution/v3"
)

// count is how often a test of one name ended in each way: the suite runs some
// once for each blob or manifest, all under one name.
type count struct{ passed, failed, skipped int }

func (c count) total() int { return c.passed + c.failed + c.skipped }

type results map[string]count

// build compiles a program pinned in .ci/tools/oci/go.mod and returns its path.
func build(t *testing.T, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), path.Base(pkg))
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	goTool(t, "build", "-buildvcs=false", "-modfile="+toolsMod, "-o", bin, pkg)
	return bin
}

func version(t *testing.T, modfile, module string) string {
	t.Helper()
	return strings.TrimSpace(goTool(t, "list", "-modfile="+modfile, "-m", "-f", "{{.Version}}", module))
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// run points the suite at the registry on addr, plain HTTP, and counts its report.
func run(t *testing.T, suite, addr string) results {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), suite)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OCI_REGISTRY="+addr, "OCI_TLS=disabled", "OCI_VERSION=1.1",
		"OCI_RESULTS_DIR="+dir, "OCI_LOG=error")
	out, err := cmd.CombinedOutput()
	// Exit status 1 is "something failed", which distribution always does.
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	report, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatalf("the suite wrote no report: %v\n%s", err, out)
	}
	return parse(t, report)
}

func parse(t *testing.T, report []byte) results {
	t.Helper()
	var suites struct {
		Cases []struct {
			Name   string `xml:"name,attr"`
			Status string `xml:"status,attr"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(report, &suites); err != nil {
		t.Fatal(err)
	}
	if len(suites.Cases) == 0 {
		t.Fatal("the suite's report has no tests")
	}
	r := results{}
	for _, c := range suites.Cases {
		name := strings.TrimPrefix(c.Name, "OCI Conformance Test/")
		n := r[name]
		switch c.Status {
		case "passed":
			n.passed++
		case "skipped":
			n.skipped++
		default:
			n.failed++
		}
		r[name] = n
	}
	return r
}
