package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
)

// Dockerd starts an engine of the test's own and returns its socket, and a function
// that restarts it as a reboot of Docker would: stopped by SIGTERM, with its
// containers, then started on the same data. It shares nothing with the machine's
// engine:
//
//   - data, state, socket and an empty configuration lie in a folder of its own in
//     /var/tmp, which is on a disk: an overlay does not go on a tmpfs everywhere, and
//     a socket's path must be short;
//   - it starts its own containerd, below that folder;
//   - its bridge is made here, since the machine's engine owns docker0;
//   - it sets no iptables rules: two engines would flush each other's chains. Ports
//     are published by docker-proxy alone, which reaches a container over the
//     bridge without rules;
//   - the storage driver is the machine's engine's, which works on its kernel.
func Dockerd(t testing.TB) (sock string, restart func()) {
	t.Helper()
	testenv.Need(t, "root", "docker", "dockerd", "ip")
	dir, err := os.MkdirTemp("/var/tmp", "regctl-dockerd-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	d := &dockerd{TB: t, dir: dir, sock: filepath.Join(dir, "s")}
	t.Cleanup(d.remove)
	d.addBridge()
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.args = []string{
		"--config-file", config, "--host", "unix://" + d.sock, "--pidfile", filepath.Join(dir, "pid"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"),
		"--storage-driver", Docker(t, "", "info", "--format", "{{.Driver}}"),
		"--bridge", d.bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false",
	}
	d.start()
	return d.sock, func() {
		t.Helper()
		d.stop()
		d.start()
	}
}

type dockerd struct {
	testing.TB
	dir, sock, bridge string
	args              []string
	cmd               *exec.Cmd
	ended             chan struct{}
	result            error
	log               bytes.Buffer
}

func (d *dockerd) addBridge() {
	d.Helper()
	raw := make([]byte, 3)
	_, _ = rand.Read(raw)
	d.bridge = fmt.Sprintf("rgt%x", raw)
	d.ip("link", "add", d.bridge, "type", "bridge")
	// RFC 2544's addresses for tests are routed by nobody.
	d.ip("addr", "add", fmt.Sprintf("198.18.%d.1/24", raw[0]), "dev", d.bridge)
	d.ip("link", "set", d.bridge, "up")
}

func (d *dockerd) ip(args ...string) {
	d.Helper()
	if out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput(); err != nil {
		d.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (d *dockerd) start() {
	d.Helper()
	d.cmd = exec.CommandContext(context.Background(), "dockerd", d.args...)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	// A terminal's Ctrl-C is the test's: it stops the engine in its cleanup.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		d.result = cmd.Wait()
		close(ended)
	}(d.cmd, d.ended)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		if _, err := docker(d.sock, nil, "version"); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-d.ended:
			d.cmd = nil
			d.Fatalf("dockerd ended: %v\n%s", d.result, d.log.String())
		case <-deadline:
			d.stop()
			d.Fatalf("dockerd does not answer\n%s", d.log.String())
		}
	}
}

func (d *dockerd) stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		d.Error("dockerd did not stop when told to")
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	d.cmd = nil
}

func (d *dockerd) remove() {
	if d.cmd != nil {
		if ids, err := docker(d.sock, nil, "ps", "--all", "--quiet"); err == nil && ids != "" {
			_, _ = docker(d.sock, nil, append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...)
		}
	}
	d.stop()
	if d.bridge != "" {
		_ = exec.CommandContext(context.Background(), "ip", "link", "del", d.bridge).Run()
	}
	d.unmount()
	if err := os.RemoveAll(d.dir); err != nil {
		d.Errorf("the engine's folder: %v", err)
	}
}

// unmount takes away what dockerd leaves mounted: its own folder where mounts
// propagate, and the namespaces of networks.
func (d *dockerd) unmount() {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil && !os.IsNotExist(err) {
		d.Error(err)
	}
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], d.dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}
