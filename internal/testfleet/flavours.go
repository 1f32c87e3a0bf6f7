package testfleet

import (
	"fmt"
	"os"
	"slices"
)

const (
	// User is who logs in on a host with a flavour of sudo.
	User = "ops"
	// Password is User's password.
	Password = "correct horse"
	// RegistryName resolves on every host to the root namespace's IPv4 address.
	RegistryName = "registry.test"

	// passwordHash is what `openssl passwd -6 -salt regctlfleet` makes of Password.
	passwordHash = "$6$regctlfleet$OHW1YDpVWhIBS5A7Hfp.xJpevm9RkGMCWuXsYmW4APRhBzyU1jNBolAVhKs6ejbVZ7RtxYSUdbghv2aSwLvA6/"
)

// Spec says what a host is like.
type Spec struct {
	docker, containerd, podman bool
	user, shell                string
	sudoers                    string
	port, jump                 int // jump: the host before it, or -1
	ipv6, noSFTP, passwordOnly bool
	dead, blackHole, otherKey  bool
	fullDisk, readOnlyEtc      bool
	noExecTmp, brokenDaemon    bool
	sshd                       []string // further lines of sshd_config
	files                      []file
	needs                      []string
}

type file struct {
	path, content, link string
	mode                os.FileMode
}

// Flavour changes one thing about a host.
type Flavour func(*Spec)

// Hosts is n hosts alike. Without a flavour, root logs in with the fleet's key.
func Hosts(n int, flavours ...Flavour) []Spec {
	specs := make([]Spec, n)
	for i := range specs {
		specs[i] = Spec{user: "root", shell: "/bin/bash", port: 22, jump: -1}
		for _, f := range flavours {
			f(&specs[i])
		}
		specs[i].needs = slices.Clip(specs[i].needs)
	}
	return specs
}

// Docker runs a Docker engine, started by its own init script: `service docker
// restart` works.
func Docker(s *Spec) {
	s.docker = true
	s.needs = append(s.needs, "docker", "dockerd", "start-stop-daemon")
}

// Containerd runs containerd with its CRI plugin.
func Containerd(s *Spec) {
	s.containerd = true
	s.needs = append(s.needs, "containerd", "ctr")
}

// Podman makes sure of podman, which runs nothing until it is called.
func Podman(s *Spec) {
	s.podman = true
	s.needs = append(s.needs, "podman")
	File("/etc/containers/containers.conf",
		"[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n")(s)
}

// Sudo logs in as User, who may do anything without a password.
func Sudo(s *Spec) { sudo(s, User+" ALL=(ALL) NOPASSWD: ALL\n") }

// SudoPassword logs in as User, whom sudo asks for Password.
func SudoPassword(s *Spec) { sudo(s, User+" ALL=(ALL) ALL\n") }

// RequireTTY makes sudo refuse without a terminal, after Sudo or SudoPassword.
func RequireTTY(s *Spec) { s.sudoers += "Defaults requiretty\n" }

func sudo(s *Spec, rule string) {
	s.user = User
	s.sudoers += rule
	s.needs = append(s.needs, "sudo")
}

// PasswordOnly knows no key: User logs in with Password.
func PasswordOnly(s *Spec) { s.user, s.passwordOnly = User, true }

// Behind is reached through the host with that index alone.
func Behind(jump int) Flavour { return func(s *Spec) { s.jump = jump } }

// Port has sshd listen elsewhere.
func Port(n int) Flavour { return func(s *Spec) { s.port = n } }

// IPv6 has sshd listen on IPv6 only, and Addr be that.
func IPv6(s *Spec) { s.ipv6 = true }

// NoSFTP has no sftp subsystem.
func NoSFTP(s *Spec) { s.noSFTP = true }

// OneSession allows one session a connection.
func OneSession(s *Spec) { s.sshd = append(s.sshd, "MaxSessions 1") }

// Shell is the login shell.
func Shell(path string) Flavour {
	return func(s *Spec) { s.shell, s.needs = path, append(s.needs, path) }
}

// Noisy prints from .bashrc, which bash reads for each command over SSH.
func Noisy(s *Spec) {
	home := "/root"
	if s.user != "root" {
		home = "/home/" + s.user
	}
	File(home+"/.bashrc", "echo 'Welcome to this host.'\n")(s)
}

// Dead refuses connections: no sshd listens.
func Dead(s *Spec) { s.dead = true }

// BlackHole drops what the root namespace sends, so that connecting hangs.
func BlackHole(s *Spec) { s.blackHole = true }

// ChangedHostKey has another host key than the one in known_hosts.
func ChangedHostKey(s *Spec) { s.otherKey = true }

// FullDisk has not a byte left on /, /etc, /usr and /var.
func FullDisk(s *Spec) { s.fullDisk = true }

// ReadOnlyEtc has /etc mounted read-only.
func ReadOnlyEtc(s *Spec) { s.readOnlyEtc = true }

// NoExecTmp has /tmp mounted noexec.
func NoExecTmp(s *Spec) { s.noExecTmp = true }

// DaemonJSON starts Docker with that configuration.
func DaemonJSON(content string) Flavour { return File("/etc/docker/daemon.json", content) }

// DaemonJSONLink starts Docker with a configuration that is a symbolic link.
func DaemonJSONLink(content string) Flavour {
	return func(s *Spec) {
		s.files = append(s.files, file{path: "/etc/docker/daemon.json", link: "/etc/docker/real.json"})
		File("/etc/docker/real.json", content)(s)
	}
}

// BrokenDaemonJSON breaks Docker's configuration after Docker has started.
func BrokenDaemonJSON(s *Spec) { s.brokenDaemon = true }

// File is there before anything starts, with mode 0644 and owned by root, or by
// User in their home.
func File(path, content string) Flavour {
	return func(s *Spec) { s.files = append(s.files, file{path: path, content: content, mode: 0o644}) }
}

func (s Spec) check(i, hosts int) error {
	if s.jump >= hosts || s.jump == i {
		return fmt.Errorf("host %d is behind host %d, which is none of the other %d", i, s.jump, hosts-1)
	}
	return nil
}
