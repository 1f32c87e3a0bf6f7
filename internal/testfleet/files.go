package testfleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// writeFiles writes the host's folder, of which host.sh copies files/ over the new root.
func (h *Host) writeFiles() error {
	signer, key, err := newKey()
	if err != nil {
		return err
	}
	h.own = signer.PublicKey()
	h.known = h.own
	if h.spec.otherKey {
		other, _, err := newKey()
		if err != nil {
			return err
		}
		h.known = other.PublicKey()
	}
	authorised := string(ssh.MarshalAuthorizedKey(h.fleet.public))
	if h.spec.passwordOnly {
		authorised = ""
	}
	home := "/root"
	if h.User != "root" {
		home = "/home/" + h.User
	}
	files := []file{
		{path: "/etc/hostname", content: h.Name + "\n", mode: 0o644},
		{path: "/etc/hosts", content: h.hostsFile(), mode: 0o644},
		{path: "/etc/resolv.conf", content: "# no name server\n", mode: 0o644},
		{path: "/etc/ssh/ssh_host_ed25519_key", content: string(key), mode: 0o600},
		{path: "/etc/ssh/sshd_config", content: h.sshdConfig(), mode: 0o644},
		{path: "/run/network", content: h.fleet.net.hostSide(h.number), mode: 0o600},
		{path: home + "/.ssh/authorized_keys", content: authorised, mode: 0o600},
	}
	if h.spec.sudoers != "" {
		files = append(files, file{path: "/etc/sudoers.d/fleet", content: h.spec.sudoers, mode: 0o440})
	}
	for _, f := range append(files, h.spec.files...) {
		if err := f.write(filepath.Join(h.dir, "files")); err != nil {
			return err
		}
	}
	return h.writeUser()
}

// writeUser writes lines for the files of users.
func (h *Host) writeUser() error {
	if h.User == "root" {
		return nil
	}
	for name, line := range map[string]string{
		"passwd": fmt.Sprintf("%s:x:4242:4242::/home/%s:%s\n", h.User, h.User, h.spec.shell),
		"shadow": fmt.Sprintf("%s:%s:20000:0:99999:7:::\n", h.User, passwordHash),
		"group":  fmt.Sprintf("%s:x:4242:\n", h.User),
	} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(line), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (f file) write(root string) error {
	path := filepath.Join(root, f.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if f.link != "" {
		return os.Symlink(f.link, path)
	}
	return os.WriteFile(path, []byte(f.content), f.mode)
}

func (h *Host) hostsFile() string {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n%s %s\n", h.fleet.Gateway(), RegistryName)
	for i := range h.fleet.size {
		fmt.Fprintf(&b, "%s h%d\n", h.fleet.net.v4(i+2), i)
	}
	return b.String()
}

// sshdConfig is Debian's, and what the spec asks for.
func (h *Host) sshdConfig() string {
	lines := []string{
		fmt.Sprintf("Port %d", h.Port),
		"HostKey /etc/ssh/ssh_host_ed25519_key",
		"KbdInteractiveAuthentication no",
		"UsePAM yes",
		"X11Forwarding yes",
		"PrintMotd no",
		"AcceptEnv LANG LC_*",
	}
	if h.spec.ipv6 || h.spec.jump >= 0 {
		lines = append(lines, "ListenAddress "+h.Addr)
	}
	if !h.spec.noSFTP {
		lines = append(lines, "Subsystem sftp "+sftpServer())
	}
	return strings.Join(append(lines, h.spec.sshd...), "\n") + "\n"
}

func sftpServer() string {
	for _, path := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "internal-sftp"
}
