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
	d := newDockerd(t)
	d.start()
	return d.sock, func() {
		t.Helper()
		d.stop()
		d.start()
	}
}

// Client is an engine of the test's own that stands for one on another machine: it
// has an /etc of its own.
type Client struct {
	Sock string
	Etc  string // its /etc as this machine sees it; a copy of the machine's own
}

// DockerdWithEtc starts an engine like Dockerd's with an /etc of its own. Docker
// reads /etc/docker/certs.d and /etc/hosts there, and no flag moves them. The name
// is in its /etc/hosts as an address of this machine that is not of 127.0.0.0/8,
// where Docker asks for no certificate.
func DockerdWithEtc(t testing.TB, name string) Client {
	t.Helper()
	testenv.Need(t, "unshare", "cp", "mount")
	d := newDockerd(t)
	etc := filepath.Join(d.dir, "etc")
	if out, err := exec.CommandContext(context.Background(), "cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	hosts, err := os.OpenFile(filepath.Join(etc, "hosts"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(hosts, "%s %s\n", d.addr, name)
	if err := hosts.Close(); err != nil {
		t.Fatal(err)
	}
	d.args = append([]string{
		"unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount --bind "$0" /etc && exec "$@"`, etc,
	}, d.args...)
	d.start()
	return Client{Sock: d.sock, Etc: etc}
}

func newDockerd(t testing.TB) *dockerd {
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
		"dockerd", "--config-file", config, "--host", "unix://" + d.sock, "--pidfile", filepath.Join(dir, "pid"),
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "run"),
		"--storage-driver", Docker(t, "", "info", "--format", "{{.Driver}}"),
		"--bridge", d.bridge, "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false",
	}
	return d
}

type dockerd struct {
	testing.TB
	dir, sock, bridge, addr string
	args                    []string // the command
	cmd                     *exec.Cmd
	ended                   chan struct{}
	result                  error
	log                     bytes.Buffer
}

func (d *dockerd) addBridge() {
	d.Helper()
	raw := make([]byte, 3)
	_, _ = rand.Read(raw)
	d.bridge = fmt.Sprintf("rgt%x", raw)
	d.ip("link", "add", d.bridge, "type", "bridge")
	// RFC 2544's addresses for tests are routed by nobody.
	d.addr = fmt.Sprintf("198.18.%d.1", raw[0])
	d.ip("addr", "add", d.addr+"/24", "dev", d.bridge)
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
	d.cmd = exec.CommandContext(context.Background(), d.args[0], d.args[1:]...)
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
