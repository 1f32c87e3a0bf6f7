//go:build unix

package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testenv"
)

// The test's own program asks again as a user who may not use the socket.
func TestOpenDockerWithoutPermission(t *testing.T) {
	if path := os.Getenv("REGCTL_TEST_SOCKET"); path != "" {
		_, err := engine.OpenDocker(t.Context(), enginetest.Env(map[string]string{"DOCKER_HOST": "unix://" + path}))
		if err == nil || !strings.Contains(err.Error(), "no permission to use the Docker Engine's socket") || !strings.Contains(fault.Hint(err), "group") {
			t.Errorf("got %v, hint %q", err, fault.Hint(err))
		}
		return
	}
	testenv.Need(t, "root", "docker")
	dir, err := os.MkdirTemp("/var/tmp", "regctl-test-") //nolint:usetesting // only root gets into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	me, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip("needs /proc")
	}
	exe := filepath.Join(dir, "engine.test")
	if err := os.WriteFile(exe, me, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestOpenDockerWithoutPermission$")
	cmd.Dir, cmd.Env = dir, []string{"REGCTL_TEST_SOCKET=" + enginetest.DefaultSock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
