package trust

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// TestInAShell has the real host carry out edits by several editors, some of one
// file in one plan, and take them back in either order.
func TestInAShell(t *testing.T) {
	for name, lastFirst := range map[string]bool{"in the order of arrival": false, "the last one before": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := host.NewShell(filepath.Join(dir, "undo"))
			t.Cleanup(func() { _ = h.Close() })
			files := map[string]string{"daemon.json": "{\r\n \"debug\": true\r\n}", "hosts": "127.0.0.1 localhost", "registries.yaml": ""}
			for file, text := range files {
				if text != "" {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			edit := func(file string, e Editor) step.Step {
				return Edit{Path: filepath.Join(dir, file), Editor: e, Mode: 0o600}
			}
			placed := []Placement{{Steps: []step.Step{
				edit("daemon.json", DaemonJSON{InsecureRegistries, addrB}), edit("daemon.json", DaemonJSON{RegistryMirrors, "https://" + addrA}),
				edit("hosts", HostsLine{addrB, "registry.test", "192.0.2.9"}), edit("registries.yaml", RegistriesYAML{addrA, "https://" + addrA, "", "/etc/ca"}),
			}}, {Steps: []step.Step{edit("daemon.json", DaemonJSON{InsecureRegistries, addrA})}}}
			chain(placed)
			for _, p := range placed {
				carryOut(t, h, p.Steps)
			}
			if planned, err := step.Plan(t.Context(), h, steps(placed)); err != nil || !planned.Empty() {
				t.Errorf("a second plan is not empty: %v %+v", err, planned.Items())
			}
			leaving := []string{addrB, addrA}
			if lastFirst {
				slices.Reverse(leaving)
			}
			for _, r := range leaving {
				back, err := Undo(Client{}, entries(t, h), []string{r}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				carryOut(t, h, steps(back))
			}
			for file, text := range files {
				got, err := os.ReadFile(filepath.Join(dir, file))
				if string(got) != text || text == "" && !os.IsNotExist(err) {
					t.Errorf("%s: %q, %v; was %q", file, got, err, text)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "undo")); !os.IsNotExist(err) {
				t.Errorf("originals are left: %v", err)
			}
		})
	}
}

func carryOut(t *testing.T, h host.Host, all []step.Step) {
	t.Helper()
	planned, err := step.Plan(t.Context(), h, all)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step.Run(t.Context(), h, planned, noJournal{}); err != nil {
		t.Fatal(err)
	}
}
