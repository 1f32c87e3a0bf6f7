// Package testenv tells tests what the machine has. A test that lacks its server
// or tool is skipped by name; with REGCTL_TEST_STRICT=1 (CI) it fails instead.
package testenv

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Need ends the test unless the machine has each thing named: "root", "docker"
// (an engine that answers), or the name of an executable on PATH.
func Need(t testing.TB, things ...string) {
	t.Helper()
	for _, thing := range things {
		if Has(thing) {
			continue
		}
		if Strict() {
			t.Fatalf("this machine lacks %s, and REGCTL_TEST_STRICT=1 allows no skip", thing)
		}
		t.Skipf("needs %s", thing)
	}
}

// Strict reports whether nothing may be skipped.
func Strict() bool { return os.Getenv("REGCTL_TEST_STRICT") == "1" }

// Has reports whether the machine has a thing; see Need.
func Has(thing string) bool {
	switch thing {
	case "root":
		return os.Geteuid() == 0
	case "docker":
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Run() == nil
	default:
		_, err := exec.LookPath(thing)
		return err == nil
	}
}
