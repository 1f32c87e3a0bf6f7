package embeddedregistry

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
	"github.com/regctl/regctl/internal/testenv"
)

// guarded is a registry whose users this test knows none of, with a canary that
// "canary" and "key" open.
func guarded(t *testing.T, tag string) (s *served, ref string, want *canaryimage.Image) {
	t.Helper()
	s = serve(t, plain+"auth: {htpasswd: {realm: r, path: DIR/htpasswd}}\n", func(dir string, _ *Options) {
		write(t, filepath.Join(dir, "htpasswd"), "nobody:*\n")
	})
	f := asked(tag)
	f.Credential = canaryimage.Credential("canary", "key")
	named, want := ask(t, s, f)
	return s, named.Name(), want
}

// client runs one, for at most patience.
func client(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// loginFile is what `docker login` would leave.
func loginFile(t *testing.T, dir, name, addr string) {
	t.Helper()
	write(t, filepath.Join(dir, name), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr, basicAuth("canary", "key")))
}

func TestCanaryByDocker(t *testing.T) {
	testenv.Need(t, "docker")
	s, ref, want := guarded(t, "docker")
	config := t.TempDir()
	env := []string{"DOCKER_CONFIG=" + config}
	t.Cleanup(func() { _, _ = client(t, nil, "docker", "image", "rm", "--force", ref) })
	if out, err := client(t, env, "docker", "pull", ref); err == nil || !strings.Contains(out, "no basic auth credentials") {
		t.Errorf("pulled without a credential: %s", out)
	}
	loginFile(t, config, "config.json", s.addr)
	if out, err := client(t, env, "docker", "pull", ref); err != nil || !strings.Contains(out, want.Index.String()) {
		t.Fatalf("%s: %v; want %s", out, err, want.Index)
	}
	if out, err := client(t, env, "docker", "push", ref); err == nil || !strings.Contains(out, "nothing can be pushed there") && !strings.Contains(out, "denied") {
		t.Errorf("push: %s", out)
	}
	if out, err := client(t, env, "docker", "image", "rm", ref); err != nil {
		t.Errorf("%s: %v", out, err)
	}
}

func TestCanaryByPodman(t *testing.T) {
	testenv.Need(t, "podman")
	s, ref, _ := guarded(t, "podman")
	dir := t.TempDir()
	store := []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
	loginFile(t, dir, "auth.json", s.addr)
	args := slices.Concat(store, []string{"pull", "--quiet", "--tls-verify=false", "--authfile", filepath.Join(dir, "auth.json"), ref})
	if out, err := client(t, nil, "podman", args...); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if out, err := client(t, nil, "podman", append(store, "image", "rm", ref)...); err != nil {
		t.Errorf("%s: %v", out, err)
	}
}

// A containerd of the test's own, told by hosts.toml as DESIGN has it.
func TestCanaryByContainerd(t *testing.T) {
	testenv.Need(t, "root", "containerd", "ctr")
	s, ref, want := guarded(t, "containerd")
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	write(t, filepath.Join(dir, "config.toml"), "version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n[plugins.'io.containerd.internal.v1.opt']\npath = '"+dir+"/opt'\n")
	write(t, filepath.Join(dir, "certs.d", s.addr, "hosts.toml"), fmt.Sprintf("server = 'http://%s'\n[host.'http://%s']\n[host.'http://%s'.header]\nAuthorization = 'Basic %s'\n",
		s.addr, s.addr, s.addr, basicAuth("canary", "key")))
	ctx, stop := context.WithCancel(t.Context())
	daemon := exec.CommandContext(ctx, "containerd", "--config", filepath.Join(dir, "config.toml"), "--address", socket,
		"--root", filepath.Join(dir, "root"), "--state", filepath.Join(dir, "state"))
	daemon.Cancel = func() error { return daemon.Process.Signal(os.Interrupt) }
	daemon.WaitDelay = patience
	log := &logBuffer{}
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	defer func() { stop(); _ = daemon.Wait() }()
	ctr := func(args ...string) (string, error) {
		return client(t, nil, "ctr", append([]string{"--address", socket}, args...)...)
	}
	wait(t, "containerd", func() bool {
		_, err := ctr("--connect-timeout", "1s", "version")
		return err == nil
	})
	if out, err := ctr("images", "pull", "--snapshotter", "native", "--hosts-dir", filepath.Join(dir, "certs.d"), ref); err != nil {
		t.Fatalf("%s: %v\n%s", out, err, log)
	}
	if out, err := ctr("images", "ls"); err != nil || !strings.Contains(out, want.Index.String()) {
		t.Errorf("%s: %v", out, err)
	}
}
