package host_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

// sshd is a real one, on a loopback port, with mounts of its own: its accounts, its
// sudo, its /var/lib/regctl. Files under t.TempDir are the test's own.
type sshd struct {
	port    int
	dir     string
	key     string // a private key that every account takes
	hostKey ssh.PublicKey
	pid     int
}

const password = "pass'word $(id)"

// Accounts, all with the same password and key: by name, uid, shell and what
// sudoers says.
const accounts = `root 0 /bin/sh
bash 0 /bin/bash
dash 0 /bin/dash
fish 0 /usr/bin/fish
csh 0 /bin/csh
plain 12345 /bin/sh
free 12346 /bin/bash ALL=(ALL) NOPASSWD: ALL
asker 12347 /bin/dash ALL=(ALL) ALL
fishes 12348 /usr/bin/fish ALL=(ALL) ALL
cached 12349 /bin/sh ALL=(ALL) ALL
tty 12350 /bin/sh ALL=(ALL) NOPASSWD: ALL
`

func startSSHD(t *testing.T, extra ...string) *sshd {
	t.Helper()
	testenv.Need(t, "root", "/usr/sbin/sshd", "sudo", "fish", "csh", "unshare", "openssl")
	s := &sshd{dir: t.TempDir(), port: freePort(t)}
	must(t, os.Chmod(s.dir, 0o755))
	must(t, os.Chmod(filepath.Dir(s.dir), 0o755))
	s.key = filepath.Join(s.dir, "key")
	userKey := writeKey(t, s.key, "")
	s.hostKey = writeKey(t, filepath.Join(s.dir, "hostkey"), "")
	s.writeAccounts(t, userKey)
	config := fmt.Sprintf("ListenAddress 127.0.0.1:%d\nListenAddress [::1]:%d\nHostKey %s\nPidFile none\nUsePAM no\n"+
		"AuthorizedKeysFile %s\nStrictModes no\nPermitRootLogin yes\nMaxSessions 1\nMaxStartups 100\n%s\n",
		s.port, s.port, filepath.Join(s.dir, "hostkey"), filepath.Join(s.dir, "authorized"), strings.Join(extra, "\n"))
	put(t, filepath.Join(s.dir, "config"), config, 0o600)
	// /tmp is noexec: nothing of ours may be run from there.
	mounts := `mount -t tmpfs -o mode=755 none /run && mkdir -m 755 /run/sshd && mount -t tmpfs -o mode=755 none /var/lib && mount --bind /tmp /tmp && mount -o remount,bind,noexec /tmp &&
		for f in passwd shadow group sudoers; do mount --bind "$1/$f" "/etc/$f" || exit; done &&
		mount -t tmpfs none /etc/sudoers.d && exec /usr/sbin/sshd -D -E "$1/log" -f "$1/config"`
	cmd := exec.Command("unshare", "-m", "sh", "-c", mounts, "sh", s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &strings.Builder{}
	cmd.Stderr = out
	must(t, cmd.Start())
	s.pid = cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	await(t, func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, func() string { log, _ := os.ReadFile(filepath.Join(s.dir, "log")); return out.String() + string(log) })
	return s
}

func (s *sshd) writeAccounts(t *testing.T, key ssh.PublicKey) {
	t.Helper()
	hashed, err := exec.Command("openssl", "passwd", "-6", password).Output()
	must(t, err)
	hash := strings.TrimSpace(string(hashed))
	sudoers := "Defaults use_pty\nDefaults lecture=always\nDefaults:cached timestamp_type=global\nDefaults:tty requiretty\nroot ALL=(ALL) ALL\n"
	var passwd, shadow strings.Builder
	for line := range strings.Lines(accounts) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 4)
		home := filepath.Join(s.dir, "home-"+f[0])
		must(t, os.Mkdir(home, 0o755))
		var uid int
		_, err := fmt.Sscan(f[1], &uid)
		must(t, err)
		must(t, os.Chown(home, uid, uid))
		for _, rc := range []string{".bashrc", ".cshrc", ".config/fish/config.fish"} {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, rc)), 0o755))
			put(t, filepath.Join(home, rc), "echo 'Welcome! fact 1 644 0 0'\n", 0o644)
		}
		fmt.Fprintf(&passwd, "%s:x:%s:%s::%s:%s\n", f[0], f[1], f[1], home, f[2])
		fmt.Fprintf(&shadow, "%s:%s:19000:0:99999:7:::\n", f[0], hash)
		if len(f) == 4 {
			sudoers += f[0] + " " + f[3] + "\n"
		}
	}
	passwd.WriteString("sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")
	put(t, filepath.Join(s.dir, "passwd"), passwd.String(), 0o644)
	put(t, filepath.Join(s.dir, "shadow"), shadow.String(), 0o600)
	put(t, filepath.Join(s.dir, "group"), "root:x:0:\nplain:x:12345:\n", 0o644)
	put(t, filepath.Join(s.dir, "sudoers"), sudoers, 0o440)
	put(t, filepath.Join(s.dir, "authorized"), string(ssh.MarshalAuthorizedKey(key)), 0o644)
	put(t, s.key+".pub", string(ssh.MarshalAuthorizedKey(key)), 0o644)
	put(t, filepath.Join(s.dir, "known_hosts"), s.knownLine("127.0.0.1")+s.knownLine("::1"), 0o600)
}

func (s *sshd) knownLine(name string) string {
	return knownhosts.Line([]string{knownhosts.Normalize(net.JoinHostPort(name, fmt.Sprint(s.port)))}, s.hostKey) + "\n"
}

// options log in with the key, and with nothing of this machine's own.
func (s *sshd) options() host.SSHOptions {
	return host.SSHOptions{
		Identities: []string{s.key}, KnownHosts: []string{filepath.Join(s.dir, "known_hosts")},
		ConfigFile: "none", Home: s.dir, ConnectTimeout: 20 * time.Second,
	}
}

func (s *sshd) target(user string) host.Target {
	return host.Target{Given: user, User: user, Host: "127.0.0.1", Port: s.port}
}

func (s *sshd) dial(t *testing.T, user string, opts host.SSHOptions) (*host.SSH, error) {
	t.Helper()
	h, err := host.DialSSH(t.Context(), s.target(user), opts)
	if err == nil {
		t.Cleanup(func() { must(t, h.Close()) })
	}
	return h, err
}

func writeKey(t *testing.T, path, passphrase string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	must(t, err)
	put(t, path, string(pem.EncodeToMemory(block)), 0o600)
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	return key
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// await polls until ok, and fails the test after a while.
func await(t *testing.T, ok func() bool, why func() string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it did not come about: %s", why())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
