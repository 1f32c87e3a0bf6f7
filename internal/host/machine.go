package host

import (
	"strconv"
	"strings"
)

// Runtime asks a machine about itself. Its paths are those of the refs below; the
// Fact's Data is text to be parsed by the function named there.
const Runtime Kind = "runtime"

// MachineRef is the read that ParseMachine understands.
func MachineRef() Ref { return Ref{Kind: Runtime, Path: "machine"} }

// WhoamiRef is what MachineRef is, for little of the work: of Machine, ParseMachine
// finds only whom the ops are carried out as and who logged in.
func WhoamiRef() Ref { return Ref{Kind: Runtime, Path: "whoami"} }

// DockerInfoRef reads what docker info says, as JSON; nothing if no dockerd answers.
func DockerInfoRef() Ref { return Ref{Kind: Runtime, Path: "docker-info"} }

// LoginDockerConfigRef reads .docker/config.json of the user who logged in, as a
// Source. It may hold secrets.
func LoginDockerConfigRef() Ref { return Ref{Kind: Runtime, Path: "login-docker-config"} }

// Machine is what a machine says of itself.
type Machine struct {
	UID, GID int    // whom the ops are carried out as
	Home     string // that user's
	// Login is the user that logged in; after sudo it is another than UID.
	Login              string
	LoginUID, LoginGID int
	LoginHome          string
	OS                 string   // ID of os-release(5): "debian", "rhel"
	OSLike             []string // ID_LIKE, for example "rhel", "fedora"
	OSVersion          string   // VERSION_ID
	Arch               string   // as uname -m has it
	Systemd, SELinux   bool
	Tools              map[string]string // executables by name, with their paths
	Sockets            []string          // those of runtimes that are there
	Daemons            map[string][]int  // process ids by name: dockerd, containerd, k3s-server …
	DockerdPID         int               // 0: none runs
	DockerdArgs        []string          // as it was started, its own name first
	DockerdVersion     string            // "20.10.24+dfsg1"
}

// ParseMachine reads the Fact of MachineRef. What it does not know it passes over.
func ParseMachine(f Fact) Machine {
	m := Machine{Tools: map[string]string{}, Daemons: map[string][]int{}}
	for line := range strings.Lines(string(f.Data)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		m.set(key, value)
	}
	return m
}

func (m *Machine) set(key, value string) {
	texts := map[string]*string{"home": &m.Home, "login-user": &m.Login, "login-home": &m.LoginHome, "arch": &m.Arch}
	ids := map[string]*int{
		"uid": &m.UID, "gid": &m.GID, "login-uid": &m.LoginUID, "login-gid": &m.LoginGID, "dockerd-pid": &m.DockerdPID,
	}
	if text, ok := texts[key]; ok {
		*text = value
		return
	}
	if id, ok := ids[key]; ok {
		*id, _ = strconv.Atoi(value) // the script's own number
		return
	}
	first, second, _ := strings.Cut(value, " ")
	switch key {
	case "init":
		m.Systemd = value == "systemd"
	case "selinux":
		m.SELinux = true
	case "tool":
		m.Tools[first] = second
	case "socket":
		m.Sockets = append(m.Sockets, value)
	case "daemon":
		if pid, err := strconv.Atoi(second); err == nil {
			m.Daemons[first] = append(m.Daemons[first], pid)
		}
	case "dockerd-arg":
		m.DockerdArgs = append(m.DockerdArgs, value)
	case "dockerd-version":
		// Docker version 20.10.24+dfsg1, build 297e128
		if f := strings.Fields(value); len(f) > 2 {
			m.DockerdVersion = strings.TrimSuffix(f[2], ",")
		}
	case "os-release":
		m.osRelease(value)
	}
}

func (m *Machine) osRelease(line string) {
	key, value, _ := strings.Cut(line, "=")
	value = strings.Trim(value, `"'`)
	switch key {
	case "ID":
		m.OS = value
	case "ID_LIKE":
		m.OSLike = strings.Fields(value)
	case "VERSION_ID":
		m.OSVersion = value
	}
}
