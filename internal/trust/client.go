package trust

import (
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// Client is what was seen of a client.
type Client struct {
	host.Machine
	// ContainerdConfig is /etc/containerd/config.toml.
	ContainerdConfig []byte
	// Sysconfig is /etc/sysconfig/docker.
	Sysconfig []byte
	// DockerConfig is .docker/config.json of the user who logged in, if LoginReads was
	// asked for.
	DockerConfig *host.Fact
	// DaemonConfig is /etc/docker/daemon.json.
	DaemonConfig []byte
	// K3sServer and RKE2Server tell a server from an agent.
	K3sServer, RKE2Server bool
}

const (
	containerdConfig = "/etc/containerd/config.toml"
	sysconfigDocker  = "/etc/sysconfig/docker"
	daemonConfig     = "/etc/docker/daemon.json"
)

// Reads lists what SeenClient must be given.
func Reads() []host.Ref {
	return []host.Ref{
		host.MachineRef(),
		{Kind: host.Source, Path: containerdConfig},
		{Kind: host.Source, Path: sysconfigDocker},
		{Kind: host.Source, Path: daemonConfig},
		{Kind: host.Dir, Path: "/var/lib/rancher/k3s/server"},
		{Kind: host.Dir, Path: "/var/lib/rancher/rke2/server"},
	}
}

// ReadsFor lists what SeenClient must be given where only these stores count; none
// means those of Reads. A client that is to be proven is asked about its runtimes.
func ReadsFor(stores []Store, opts Options, proven bool) []host.Ref {
	own := []Store{Docker, Rootless, Podman, OS} // they need not know how others are set up
	other := func(s Store) bool { return !slices.Contains(own, s) }
	switch {
	case len(stores) == 0 || slices.ContainsFunc(stores, other):
		return Reads()
	case proven || opts.AsMirror || opts.Login != nil || len(stores) > 1 || stores[0] != Docker:
		return []host.Ref{host.MachineRef()}
	}
	return []host.Ref{host.WhoamiRef()} // certs.d is the same for every Docker
}

// SeenClient makes a client of what Reads found.
func SeenClient(seen host.Facts) Client {
	at := func(kind host.Kind, path string) host.Fact { return seen[host.Ref{Kind: kind, Path: path}] }
	machine, whole := seen[host.MachineRef()]
	if !whole {
		machine = seen[host.WhoamiRef()]
	}
	c := Client{
		Machine:          host.ParseMachine(machine),
		ContainerdConfig: at(host.Source, containerdConfig).Data,
		Sysconfig:        at(host.Source, sysconfigDocker).Data,
		DaemonConfig:     at(host.Source, daemonConfig).Data,
		K3sServer:        at(host.Dir, "/var/lib/rancher/k3s/server").Exists,
		RKE2Server:       at(host.Dir, "/var/lib/rancher/rke2/server").Exists,
	}
	if config, read := seen[host.LoginDockerConfigRef()]; read {
		c.DockerConfig = &config
	}
	return c
}

func (c Client) has(tools ...string) bool {
	return slices.ContainsFunc(tools, func(t string) bool { return c.Tools[t] != "" })
}

func (c Client) runs(daemons ...string) bool {
	return slices.ContainsFunc(daemons, func(d string) bool { return len(c.Daemons[d]) > 0 })
}

// is reports whether the OS is one of a family, by os-release(5).
func (c Client) is(families ...string) bool {
	return slices.ContainsFunc(families, func(f string) bool { return c.OS == f || slices.Contains(c.OSLike, f) })
}

// flag gives the values of a flag of the running dockerd.
func (c Client) flag(name string) []string {
	var values []string
	for i, arg := range c.DockerdArgs {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			values = append(values, value)
		} else if arg == name && i+1 < len(c.DockerdArgs) {
			values = append(values, c.DockerdArgs[i+1])
		}
	}
	return values
}

// daemonJSON is where the client's dockerd keeps its configuration.
func (c Client) daemonJSON() string {
	if paths := c.flag("--config-file"); len(paths) > 0 {
		return paths[len(paths)-1]
	}
	return daemonConfig
}

// root reports whether files of the whole system can be written.
func (c Client) root() bool { return c.UID == 0 }

// version reads the first numbers of a version such as "20.10.24+dfsg1".
func version(text string) (v [3]int) {
	for i, part := range strings.SplitN(text, ".", 3) {
		end := 0
		for end < len(part) && part[end] >= '0' && part[end] <= '9' {
			end++
		}
		v[i], _ = strconv.Atoi(part[:end])
	}
	return v
}

// reloadLoses reports whether this dockerd forgets its insecure registries on a
// SIGHUP while mirrors are set: moby 45552, mended in 23.0.7 and 24.0.2. A version
// that is not known is taken for an old one.
func (c Client) reloadLoses() bool {
	v := version(c.DockerdVersion)
	switch v[0] {
	case 23:
		return v[1] == 0 && v[2] < 7
	case 24:
		return v[1] == 0 && v[2] < 2
	}
	return v[0] < 23
}
