package testfleet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// all is a host of every flavour that needs no runtime.
func all() []testfleet.Spec {
	return slices.Concat(
		testfleet.Hosts(2),
		testfleet.Hosts(1, testfleet.Sudo),
		testfleet.Hosts(1, testfleet.SudoPassword),
		testfleet.Hosts(1, testfleet.Behind(0)),
		testfleet.Hosts(1, testfleet.Port(2222), testfleet.IPv6, testfleet.NoSFTP, testfleet.OneSession),
		testfleet.Hosts(1, testfleet.Shell("/usr/bin/dash"), testfleet.NoExecTmp),
		testfleet.Hosts(1, testfleet.Shell("/usr/bin/fish")),
		testfleet.Hosts(1, testfleet.Shell("/bin/csh")),
		testfleet.Hosts(1, testfleet.Noisy),
		testfleet.Hosts(1, testfleet.Dead),
		testfleet.Hosts(1, testfleet.BlackHole),
		testfleet.Hosts(1, testfleet.ChangedHostKey),
		testfleet.Hosts(1, testfleet.FullDisk),
		testfleet.Hosts(1, testfleet.ReadOnlyEtc),
		testfleet.Hosts(1, testfleet.PasswordOnly),
		testfleet.Hosts(1, testfleet.Sudo, testfleet.RequireTTY, testfleet.Shell("/usr/bin/fish")),
	)
}

func TestFlavours(t *testing.T) {
	fleet := testfleet.New(t, all()...)
	ssh := func(host int, command string) (string, error) {
		// -n: sudo must not read the test's stdin
		out, err := fleet.SSH("-n", "-o", "ConnectTimeout=2", fleet.Host(host).Name, command).CombinedOutput()
		return string(out), err
	}
	for _, c := range []struct {
		name, command, want string
		host                int
		fails               bool
	}{
		{"root", "id -un; hostname", "root\nh0\n", 0, false},
		{"resolves the registry", "getent hosts registry.test | cut -d' ' -f1", fleet.Gateway() + "\n", 0, false},
		{"reaches another host", "timeout 2 bash -c '</dev/tcp/h1/22' && echo yes", "yes\n", 0, false},
		{"sudo", "id -un; sudo -n id -un", "ops\nroot\n", 2, false},
		{"sudo asks", "sudo -n true", "sudo: a password is required\n", 3, true},
		{"sudo takes the password", "echo '" + testfleet.Password + "' | sudo -S -p '' id -un", "root\n", 3, false},
		{"behind a jump host", "hostname", "h4\n", 4, false},
		{"other port, IPv6", "echo $SSH_CONNECTION | grep -c '^fd.* 2222$'", "1\n", 5, false},
		{"dash", "readlink /proc/$$/exe", "/usr/bin/dash\n", 6, false},
		{"noexec /tmp", "cp /usr/bin/true /tmp/ && /tmp/true", "Permission denied", 6, true},
		{"fish", "echo $version | string match -r '^3|^4'", "", 7, false},
		{"csh", "echo $shell", "/bin/csh\n", 8, false},
		{"noisy", "echo hello", "Welcome to this host.\nhello\n", 9, false},
		{"dead", "true", "Connection refused", 10, true},
		{"black hole", "true", "timed out", 11, true},
		{"changed host key", "true", "Host key verification failed", 12, true},
		{"full disk: mkdir", "mkdir /etc/d && : >/etc/d/empty", "", 13, false},
		{"full disk: bytes", "echo some bytes >/etc/d/some", "No space left", 13, true},
		{"read-only /etc", ": >/etc/some", "Read-only", 14, true},
		{"password only", "true", "Permission denied (publickey,password)", 15, true},
		{"requiretty", "sudo -n true", "must have a tty", 16, true},
	} {
		out, err := ssh(c.host, c.command)
		if (err != nil) != c.fails || !strings.Contains(out, c.want) || (!c.fails && c.want != "" && out != c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
	t.Run("sftp", func(t *testing.T) {
		for host, works := range map[int]bool{0: true, 5: false} {
			cmd := exec.Command("sftp", "-F", fleet.SSHConfig(), "-b", "-", fleet.Host(host).Name)
			cmd.Stdin = strings.NewReader("pwd\n")
			if out, err := cmd.CombinedOutput(); (err == nil) != works {
				t.Errorf("h%d: %v\n%s", host, err, out)
			}
		}
	})
	t.Run("behind a jump host alone", func(t *testing.T) {
		behind := fleet.Host(4)
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(behind.Addr, strconv.Itoa(behind.Port)), 500*time.Millisecond)
		if err == nil {
			_ = conn.Close()
			t.Error("it is reached directly")
		}
	})
	t.Run("mended", func(t *testing.T) {
		for _, host := range []int{10, 11, 12, 13, 14} {
			fleet.Host(host).Mend()
			if out, err := ssh(host, "echo some bytes >/etc/some"); err != nil {
				t.Errorf("h%d: %v\n%s", host, err, out)
			}
		}
	})
}

func TestHost(t *testing.T) {
	fleet := testfleet.New(t, testfleet.Hosts(2)...)
	h := fleet.Host(0)

	before := h.Tree()
	if diff := before.Diff(h.Tree()); len(diff) != 0 {
		t.Errorf("nothing was done, and yet:\n%s", strings.Join(diff, "\n"))
	}
	if err := h.WriteFile("/etc/it's new", []byte("a")); err != nil {
		t.Fatal(err)
	}
	h.Run("mkdir -m 700 /var/lib/d && ln -s nowhere /root/l && chown 7 /usr/local/bin && rm /etc/hostname")
	var changed []string
	for _, line := range before.Diff(h.Tree()) {
		changed = append(changed, strings.Fields(line)[0]+strings.Fields(line)[1])
	}
	want := []string{"-/etc/hostname", "+/etc/it's", "+/root/l", "-/usr/local/bin", "+/usr/local/bin", "+/var/lib/d"}
	if !slices.Equal(changed, want) {
		t.Errorf("changed: %q", changed)
	}
	if data, err := h.ReadFile("/etc/it's new"); err != nil || string(data) != "a" {
		t.Errorf("read %q, %v", data, err)
	}
	for _, path := range []string{"/etc/it's new", "/var/lib/d", "/root/l"} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is on this machine: %v", path, err)
		}
		if _, err := fleet.Host(1).ReadFile(path); err == nil {
			t.Errorf("%s is on another host", path)
		}
	}

	h.KillSSHD()
	if conn, err := net.Dial("tcp", net.JoinHostPort(h.Addr, "22")); err == nil {
		_ = conn.Close()
		t.Error("sshd is killed, and listens")
	}
	h.StartSSHD()
	if out, err := fleet.SSH(h.Name, "true").CombinedOutput(); err != nil {
		t.Errorf("sshd again: %v\n%s", err, out)
	}
	h.Stop()
	if _, err := h.Exec("true"); err == nil {
		t.Error("a stopped host runs a command")
	}
}

// The registry under test listens in the root namespace, and is no loopback address.
func TestGateway(t *testing.T) {
	fleet := testfleet.New(t, testfleet.Hosts(1)...)
	for network, address := range map[string]string{"tcp4": fleet.Gateway(), "tcp6": fleet.Gateway6()} {
		l, err := net.Listen(network, net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				_, _ = io.Copy(conn, bytes.NewReader([]byte("hello\n")))
				_ = conn.Close()
			}
		}()
		name := address
		if network == "tcp4" {
			name = testfleet.RegistryName
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		out, err := fleet.Host(0).Exec("timeout 5 bash -c 'cat </dev/tcp/" + name + "/" + port + "'")
		if err != nil || out != "hello" {
			t.Errorf("%s: %q, %v", network, out, err)
		}
		_ = l.Close()
	}
}

func BenchmarkFiftyHosts(b *testing.B) {
	for b.Loop() {
		testfleet.New(b, testfleet.Hosts(50)...).Stop()
	}
}
