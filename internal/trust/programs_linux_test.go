package trust

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
)

// run gives what a program says of a configuration that we have edited.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestContainerdReadsConfigPath(t *testing.T) {
	testenv.Need(t, "containerd")
	for name, start := range map[string]string{
		"none":     "",
		"its own":  run(t, nil, "containerd", "config", "default"),
		"Debian's": "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n",
	} {
		edit := ConfigPath{addrA, 1, "/etc/containerd/regctl-test"}
		data, err := edit.Apply([]byte(start))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if dump := run(t, nil, "containerd", "--config", path, "config", "dump"); !strings.Contains(dump, `config_path = "/etc/containerd/regctl-test"`) {
			t.Errorf("%s: containerd does not see config_path:\n%s", name, dump)
		}
		if back, err := edit.Remove(data); err != nil || string(back) != start {
			t.Errorf("%s: not restored: %v", name, err)
		}
	}
}

func TestPodmanReadsDropIn(t *testing.T) {
	testenv.Need(t, "podman")
	home := t.TempDir()
	c := Client{}
	c.UID, c.Home = 1000, home
	r := plain()
	r.MirrorOf = "https://quay.io"
	for _, place := range []planner{insecurePodman, mirrorPodman} {
		p, err := place(r, c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		file := placeOf(t, p)
		if err := os.MkdirAll(filepath.Dir(file.path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file.path, file.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := run(t, []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home + "/.config"}, "podman",
		"--root", home+"/root", "--runroot", home+"/run", "--storage-driver", "vfs", "info", "--format", "{{json .Registries}}")
	for _, want := range []string{`"registry.test:5000":{"Prefix":"registry.test:5000","Location":"registry.test:5000","Insecure":true`, `"quay.io":{`} {
		if !strings.Contains(strings.ReplaceAll(out, " ", ""), want) {
			t.Errorf("podman does not see %s:\n%s", want, out)
		}
	}
}

func placeOf(t *testing.T, p Placement) place {
	t.Helper()
	for _, s := range p.Steps {
		if one, ok := s.(place); ok {
			return one
		}
	}
	t.Fatal("no file is placed")
	return place{}
}
