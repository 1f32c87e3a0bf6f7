package testfleet

import (
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/regctl/regctl/internal/testenv"
)

// parent is on a disk: Docker's data would not go on an overlay or a tmpfs everywhere.
const (
	parent = "/var/tmp"
	prefix = "regctl-fleet-"
)

//go:embed watch.sh
var watchScript string

// Fleet is hosts on one network.
type Fleet struct {
	t      caller
	dir    string
	net    network
	hosts  []*Host
	size   int           // hosts, when all are there
	public ssh.PublicKey // of the key that logs in

	mu      sync.Mutex // guards known_hosts
	watcher *process
	hub     *process // holds the network namespace of the bridge
	stop    sync.Once
}

// New starts hosts and waits until each is up: sshd listens and the engines answer.
// It skips the test by name on a machine that lacks a thing that they need.
func New(t testing.TB, specs ...Spec) *Fleet {
	t.Helper()
	testenv.Need(t, needs(specs)...)
	f := &Fleet{t: t, size: len(specs)}
	t.Cleanup(f.Stop)
	if err := f.start(specs); err != nil {
		t.Fatal(err)
	}
	return f
}

// needs is what the machine must have, as testenv.Has names it.
func needs(specs []Spec) []string {
	all := []string{"root", "ip", "nsenter", "mount", "pivot_root", "sshd"}
	for _, s := range specs {
		all = append(all, s.needs...)
	}
	return all
}

func (f *Fleet) start(specs []Spec) error {
	for i, s := range specs {
		if err := s.check(i, len(specs)); err != nil {
			return err
		}
	}
	sweep(f.t)
	if err := f.watch(); err != nil {
		return err
	}
	hub, err := startProcess(exec.Command("sh", "-c", "read -r _"), namespacesOfHub)
	if err != nil {
		return err
	}
	f.hub = hub
	if f.net, err = newNetwork(filepath.Base(f.dir), hub.pid()); err != nil {
		return err
	}
	if err := f.writeKey(); err != nil {
		return err
	}
	for i, s := range specs {
		h, err := f.newHost(i, s)
		if err != nil {
			return err
		}
		f.hosts = append(f.hosts, h)
	}
	if err := f.net.connect(f.hosts); err != nil {
		return err
	}
	if err := f.writeKnownHosts(); err != nil {
		return err
	}
	if err := os.WriteFile(f.SSHConfig(), []byte(f.sshConfig()), 0o600); err != nil {
		return err
	}
	limit := time.After(time.Minute)
	for _, h := range f.hosts {
		if err := h.waitUp(limit); err != nil {
			return err
		}
	}
	return nil
}

// watch makes the fleet's folder, locked as long as the test or the watcher lives,
// and starts the watcher that removes it.
func (f *Fleet) watch() error {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return err
	}
	f.dir = dir
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close() // the watcher holds the lock from here on
	cmd := exec.Command("sh", "-c", watchScript, "regctl-fleet-watch", dir)
	cmd.ExtraFiles = []*os.File{lock}
	f.watcher, err = startProcess(cmd, 0)
	return err
}

// Stop ends all hosts at once and removes them; the test's cleanup calls it too.
func (f *Fleet) Stop() {
	f.stop.Do(func() {
		var all sync.WaitGroup
		for _, h := range f.hosts {
			all.Go(h.Stop)
		}
		all.Wait()
		if f.hub != nil {
			_ = f.hub.end()
		}
		if f.watcher == nil {
			_ = os.RemoveAll(f.dir)
			return
		}
		if err := f.watcher.end(); err != nil {
			f.t.Errorf("the fleet's folder %s is not removed: %v", f.dir, err)
		}
	})
}

// sweep removes what fleets left whose test and watcher were both killed.
func sweep(t caller) {
	t.Helper()
	dirs, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range dirs {
		// A new one is not locked for a moment.
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < 10*time.Second {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			continue // in use
		}
		if out, err := exec.Command("sh", "-c", watchScript, "regctl-fleet-sweep", dir).CombinedOutput(); err != nil {
			t.Logf("%s: %v\n%s", dir, err, out)
		}
		_ = lock.Close()
	}
}

// Host returns a host; the first is 0.
func (f *Fleet) Host(i int) *Host { return f.hosts[i] }

// Hosts returns all hosts in the order of their specs.
func (f *Fleet) Hosts() []*Host { return append([]*Host(nil), f.hosts...) }

// Gateway is the root namespace's IPv4 address on the fleet's network, where a
// registry under test listens; every host knows it as RegistryName.
func (f *Fleet) Gateway() string { return f.net.v4(1) }

// Gateway6 is the root namespace's IPv6 address on the fleet's network.
func (f *Fleet) Gateway6() string { return f.net.v6(1) }

// Key is the file of the private key that logs in on every host.
func (f *Fleet) Key() string { return filepath.Join(f.dir, "key") }

// KnownHosts is a file with the host keys, by name and by address.
func (f *Fleet) KnownHosts() string { return filepath.Join(f.dir, "known_hosts") }

// SSHConfig is a file for ssh -F, by which each host's name leads to it.
func (f *Fleet) SSHConfig() string { return filepath.Join(f.dir, "ssh_config") }

// SSH is the OpenSSH client's command for a host. Options go before the host's name.
func (f *Fleet) SSH(args ...string) *exec.Cmd {
	return exec.Command("ssh", append([]string{"-F", f.SSHConfig()}, args...)...)
}

func (f *Fleet) writeKey() error {
	signer, data, err := newKey()
	if err != nil {
		return err
	}
	f.public = signer.PublicKey()
	return os.WriteFile(f.Key(), data, 0o600)
}

// newKey is an Ed25519 key, and the same in OpenSSH's format.
func newKey() (ssh.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	return signer, pem.EncodeToMemory(block), err
}

func (f *Fleet) writeKnownHosts() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, h := range f.hosts {
		key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.known)))
		for _, name := range []string{h.Name, h.Addr} {
			if h.Port != 22 {
				name = fmt.Sprintf("[%s]:%d", name, h.Port)
			}
			fmt.Fprintf(&b, "%s %s\n", name, key)
		}
	}
	return os.WriteFile(f.KnownHosts(), []byte(b.String()), 0o600)
}

func (f *Fleet) sshConfig() string {
	var b strings.Builder
	for _, h := range f.hosts {
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n  Port %d\n  User %s\n", h.Name, h.Addr, h.Port, h.User)
		if h.spec.jump >= 0 {
			fmt.Fprintf(&b, "  ProxyJump %s\n", f.hosts[h.spec.jump].Name)
		}
	}
	fmt.Fprintf(&b, `Host *
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
`, f.Key(), f.KnownHosts())
	return b.String()
}

// process is a child that lives until its stdin ends.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
	err   error // once ended
}

func startProcess(cmd *exec.Cmd, namespaces uintptr) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	separate(cmd, namespaces)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// end closes stdin, and kills a process that does not end by that.
func (p *process) end() error {
	_ = p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("process %d did not end with its stdin, and was killed", p.pid())
	}
	return p.err
}
