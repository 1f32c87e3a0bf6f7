package engine_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testenv"
)

// withContext writes a docker configuration with the context "other" and returns
// its folder.
func withContext(t *testing.T, current, hostURL string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", `{"currentContext": "`+current+`"}`)
	// The folder's name is the SHA-256 of "other".
	write("contexts/meta/d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa/meta.json",
		`{"Name":"other","Metadata":{"Description":"d"},"Endpoints":{"docker":{"Host":"`+hostURL+`","SkipTLSVerify":false}}}`)
	return dir
}

func TestOpenDockerRefuses(t *testing.T) {
	absent := "unix://" + filepath.Join(t.TempDir(), "absent.sock")
	tests := map[string]struct {
		env   map[string]string
		want  string
		usage bool
	}{
		"ssh":             {map[string]string{"DOCKER_HOST": "ssh://user@host.test"}, "DOCKER_HOST (ssh://user@host.test) is a Docker Engine on another machine", true},
		"tcp":             {map[string]string{"DOCKER_HOST": "tcp://192.0.2.9:2375"}, "on another machine", true},
		"tcp by name":     {map[string]string{"DOCKER_HOST": "tcp://host.test:2375"}, "on another machine", true},
		"no address":      {map[string]string{"DOCKER_HOST": "::"}, "not the address of a Docker Engine", true},
		"no socket":       {map[string]string{"DOCKER_HOST": absent}, "no socket at", false},
		"current context": {map[string]string{"DOCKER_CONFIG": withContext(t, "other", "ssh://h.test")}, "the docker context other (ssh://h.test)", true},
		"DOCKER_CONTEXT":  {map[string]string{"DOCKER_CONFIG": withContext(t, "", "ssh://h.test"), "DOCKER_CONTEXT": "other"}, "the docker context other (ssh://h.test)", true},
		"DOCKER_HOST first": {map[string]string{
			"DOCKER_CONFIG": withContext(t, "other", "ssh://h.test"), "DOCKER_HOST": absent,
		}, "no socket at", false},
		"context's socket": {map[string]string{"DOCKER_CONFIG": withContext(t, "other", absent)}, "no socket at", false},
		"unknown context":  {map[string]string{"DOCKER_CONFIG": t.TempDir(), "DOCKER_CONTEXT": "gone"}, `context "gone"`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := engine.OpenDocker(t.Context(), enginetest.Env(tt.env))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") || fault.Hint(err) == "" || fault.IsUsage(err) != tt.usage {
				t.Errorf("%v: hint %q, usage %v", err, fault.Hint(err), fault.IsUsage(err))
			}
			if !engine.DockerAvailable(enginetest.Env(tt.env)) {
				t.Error("Docker is configured, and not available")
			}
		})
	}
}

func TestOpenDockerNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	env := enginetest.Env(map[string]string{"DOCKER_HOST": "unix://" + path})
	if _, err := engine.OpenDocker(t.Context(), env); err == nil || !strings.Contains(err.Error(), "nobody listens on "+path) {
		t.Errorf("got %v", err)
	}
}

func TestOpenDockerThroughContext(t *testing.T) {
	testenv.Need(t, "docker")
	for _, env := range []map[string]string{
		{"DOCKER_CONFIG": withContext(t, "other", "unix://"+enginetest.DefaultSock)},
		{"DOCKER_CONFIG": withContext(t, "default", "unix:///absent")},
		{"DOCKER_CONFIG": t.TempDir(), "DOCKER_API_VERSION": "1.41"},
	} {
		d, err := engine.OpenDocker(t.Context(), enginetest.Env(env))
		if err != nil {
			t.Errorf("%v: %v", env, err)
			continue
		}
		if arch, err := d.Arch(t.Context()); err != nil || arch == "" {
			t.Errorf("architecture %q, %v", arch, err)
		}
		_ = d.Close()
	}
}

func TestServeUser(t *testing.T) {
	testenv.Need(t, "root")
	user, err := enginetest.Open(t, "").ServeUser(t.Context())
	if err != nil || user != (engine.User{Container: "65532:65532", UID: 65532, GID: 65532}) {
		t.Errorf("got %+v, %v", user, err)
	}
}
