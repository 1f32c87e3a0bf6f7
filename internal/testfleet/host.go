package testfleet

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

//go:embed host.sh
var hostScript string

// Host is one host of a fleet.
type Host struct {
	// Name is the host's name: on itself, to the other hosts and in SSHConfig.
	Name string
	// Addr and Port are where sshd listens; Addr is an IPv6 address with that flavour.
	Addr string
	Port int
	// User logs in.
	User string

	fleet   *Fleet
	spec    Spec
	number  int // the last of its address
	dir     string
	known   ssh.PublicKey // as known_hosts has it
	own     ssh.PublicKey
	process *process
	up      io.ReadCloser
}

// execTime bounds a command on a host.
const execTime = 2 * time.Minute

func (f *Fleet) newHost(i int, s Spec) (*Host, error) {
	h := &Host{
		Name: fmt.Sprintf("h%d", i), Port: s.port, User: s.user, fleet: f, spec: s, number: i + 2,
		dir: filepath.Join(f.dir, fmt.Sprintf("h%d", i)),
	}
	switch {
	case s.jump >= 0:
		h.Addr = f.net.inner(h.number)
	case s.ipv6:
		h.Addr = f.net.v6(h.number)
	default:
		h.Addr = f.net.v4(h.number)
	}
	if err := h.writeFiles(); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", hostScript, "regctl-fleet-host")
	cmd.Env = append([]string{"DIR=" + h.dir, "NAME=" + h.Name, "LOGIN=/bin/bash"}, h.wants()...)
	if s.user == "root" {
		cmd.Env[2] = "LOGIN=" + s.shell
	}
	var err error
	if h.up, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	h.process, err = startProcess(cmd, namespacesOfHost)
	return h, err
}

// wants is the environment of host.sh that the spec asks for.
func (h *Host) wants() []string {
	words := func(name string, of map[string]bool) string {
		var w []string
		for word, wanted := range of {
			if wanted {
				w = append(w, word)
			}
		}
		return name + "=" + strings.Join(w, " ")
	}
	disk := "DISK="
	if h.spec.fullDisk {
		disk += "16m"
	}
	group := "GROUP="
	if h.spec.docker || h.spec.containerd || h.spec.podman {
		group += filepath.Base(h.fleet.dir) + "-" + h.Name
	}
	return []string{
		disk, group,
		words("START", map[string]bool{"sshd": !h.spec.dead, "docker": h.spec.docker, "containerd": h.spec.containerd}),
		words("THEN", map[string]bool{
			"readonly-etc": h.spec.readOnlyEtc, "noexec-tmp": h.spec.noExecTmp, "broken-daemon": h.spec.brokenDaemon,
		}),
	}
}

func (h *Host) waitUp(limit <-chan time.Time) error {
	up := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(h.up).ReadString('\n')
		if err == nil && line != "up\n" {
			err = fmt.Errorf("said %q", line)
		}
		up <- err
	}()
	select {
	case err := <-up:
		if err != nil {
			return h.fail(fmt.Errorf("did not come up: %w", err))
		}
		return nil
	case <-limit:
		return h.fail(fmt.Errorf("is not up within the minute that the fleet has"))
	}
}

// fail adds what the host printed while it came up.
func (h *Host) fail(err error) error {
	log, _ := os.ReadFile(filepath.Join(h.dir, "log"))
	return fmt.Errorf("host %s: %w\n%s", h.Name, err, log)
}

// Exec runs a command of sh on the host as root, not over SSH, and returns what it
// printed on stdout and stderr, without the last line's end.
func (h *Host) Exec(command string) (string, error) {
	out, err := h.exec(command, nil)
	if err != nil {
		return out, fmt.Errorf("host %s: %s: %w\n%s", h.Name, command, err, out)
	}
	return strings.TrimSuffix(out, "\n"), nil
}

// Run is Exec for what must succeed.
func (h *Host) Run(command string) string {
	h.fleet.t.Helper()
	out, err := h.Exec(command)
	if err != nil {
		h.fleet.t.Fatal(err)
	}
	return out
}

func (h *Host) exec(command string, stdin io.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), execTime)
	defer cancel()
	cmd := h.Command(ctx, command)
	cmd.Stdin = stdin
	cmd.WaitDelay = 5 * time.Second // a server that it started may hold stdout
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	select {
	case <-h.process.ended: // its process id may be another's by now
		return "", fmt.Errorf("the host is stopped")
	default:
	}
	err := cmd.Run()
	return out.String(), err
}

// Command is a command of sh on the host as root, not over SSH, for the caller to run
// before the host is stopped.
func (h *Host) Command(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(h.process.pid()),
		"--mount", "--uts", "--ipc", "--net", "--pid",
		"env", "-i", "HOME=/root", "USER=root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"sh", "-c", command)
}

// ReadFile reads a file on the host.
func (h *Host) ReadFile(path string) ([]byte, error) {
	out, err := h.exec("cat -- "+quote(path), nil)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w: %s", h.Name, err, strings.TrimSpace(out))
	}
	return []byte(out), nil
}

// WriteFile writes a file on the host; its mode is 0644 if it is new.
func (h *Host) WriteFile(path string, data []byte) error {
	out, err := h.exec("cat > "+quote(path), strings.NewReader(string(data)))
	if err != nil {
		return fmt.Errorf("host %s: %w: %s", h.Name, err, strings.TrimSpace(out))
	}
	return nil
}

// Stop ends the host at once, as a loss of power would, with all its processes.
func (h *Host) Stop() {
	if err := h.process.end(); err != nil {
		h.fleet.t.Logf("host %s: %v", h.Name, err)
	}
}

// KillSSHD ends sshd and every session.
func (h *Host) KillSSHD() {
	h.fleet.t.Helper()
	h.Run("pkill -KILL -x sshd; while pgrep -x sshd; do sleep 0.02; done")
}

// StartSSHD starts sshd again; it listens when StartSSHD returns.
func (h *Host) StartSSHD() {
	h.fleet.t.Helper()
	h.Run("rm -f /run/sshd.pid; /usr/sbin/sshd -E /run/sshd.log && until test -s /run/sshd.pid; do sleep 0.02; done")
}

// Mend takes away what is wrong with a host: it is no longer Dead, a BlackHole, of a
// ChangedHostKey, a FullDisk or a ReadOnlyEtc.
func (h *Host) Mend() {
	h.fleet.t.Helper()
	var err error
	switch {
	case h.spec.dead:
		h.StartSSHD()
	case h.spec.blackHole:
		err = h.fleet.net.fill(h)
	case h.spec.otherKey:
		h.known = h.own
		err = h.fleet.writeKnownHosts()
	case h.spec.fullDisk:
		h.Run("rm /var/filler")
	case h.spec.readOnlyEtc:
		h.Run("mount -o remount,rw /etc")
	}
	if err != nil {
		h.fleet.t.Fatal(err)
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
