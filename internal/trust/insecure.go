package trust

import (
	"encoding/json"
	"fmt"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

func insecureWarning(r Registry) string {
	return r.Address() + " is an insecure registry for this client: nothing proves whom it talks to, and images and passwords cross the network in clear"
}

// insecureDocker lists the registry in daemon.json, which dockerd reads on SIGHUP.
func insecureDocker(r Registry, c Client, opts Options) (Placement, error) {
	p := Placement{Store: Insecure, Effect: Reload, Path: c.daemonJSON(), Warnings: []string{insecureWarning(r)}}
	if len(c.flag("--insecure-registry")) > 0 {
		return p, fault.Fail("use --store legacy", "dockerd runs with the flag --insecure-registry and would not start with insecure-registries in %s as well", p.Path)
	}
	return p, p.daemonJSON(r, DaemonJSON{InsecureRegistries, r.Address()}, c, opts, quote(r.Address()))
}

// daemonJSON adds the edit of daemon.json and what makes dockerd notice; shows is
// what docker info says afterwards.
func (p *Placement) daemonJSON(r Registry, e DaemonJSON, c Client, opts Options, shows string) error {
	if !c.root() {
		return fault.Fail("log in as root or as a user with sudo", "%s is root's", p.Path)
	}
	if p.Path == daemonConfig {
		p.Steps = append(p.Steps, r.dirs(0, 0, "/etc/docker")...)
	}
	edit := Edit{
		Path: p.Path, Mode: 0o644, Editor: e,
		Then: func(_, after []byte) ([]host.Op, error) { return c.noticed(after, p.Path, shows, opts) },
	}
	p.Steps = append(p.Steps, edit, heard{edit, shows})
	return nil
}

// noticed are the ops that make a running dockerd take a daemon.json over. One that
// would forget its insecure registries on SIGHUP gets none.
func (c Client) noticed(data []byte, path, shows string, opts Options) ([]host.Op, error) {
	if c.DockerdPID == 0 {
		return nil, nil // it reads the file when it starts
	}
	ops := []host.Op{host.ValidateDockerd(path)}
	if c.reloadLoses() && both(data) {
		restart, err := needRestart(opts, "docker", fmt.Sprintf("with registry-mirrors and insecure-registries both set, Docker %s forgets the latter on a reload (moby 45552): daemon.json", c.DockerdVersion))
		if err != nil {
			return nil, err
		}
		ops = append(ops, restart...)
	} else {
		ops = append(ops, host.ReloadDockerd())
	}
	if c.has("docker", "curl") {
		ops = append(ops, host.DockerInfoShows(shows))
	}
	return ops, nil
}

// both reports whether a daemon.json has insecure registries and mirrors.
func both(data []byte) bool {
	var lists map[string]json.RawMessage
	if json.Unmarshal(data, &lists) != nil {
		return false
	}
	var insecure []string
	_, mirrors := lists[string(RegistryMirrors)]
	return mirrors && json.Unmarshal(lists[string(InsecureRegistries)], &insecure) == nil && len(insecure) > 0
}

// insecureRootless is insecureDocker for the dockerd of the user who logged in,
// which regctl cannot signal.
func insecureRootless(r Registry, c Client, _ Options) (Placement, error) {
	p := Placement{Store: Insecure, Effect: Reload, Pending: "systemctl --user reload docker", Warnings: []string{insecureWarning(r)}}
	home, err := c.userHome(Rootless)
	if err != nil {
		return p, err
	}
	base := home + "/.config/docker"
	p.Path = base + "/daemon.json"
	p.Steps = r.dirs(c.LoginUID, c.LoginGID, home+"/.config", base)
	p.Steps = append(p.Steps, Edit{Path: p.Path, Mode: 0o644, UID: c.LoginUID, GID: c.LoginGID, Editor: DaemonJSON{InsecureRegistries, r.Address()}})
	return p, nil
}

// insecurePodman lists the registry in a drop-in of our own.
func insecurePodman(r Registry, c Client, _ Options) (Placement, error) {
	p := dropIn(Insecure, r, c, r.fileName(), "[[registry]]\nlocation = "+tomlText(r.Address())+"\ninsecure = true\n")
	p.Warnings = []string{insecureWarning(r)}
	return p, nil
}

// plainly turns a store's ordinary form into the insecure one: for containerd, k3s
// and BuildKit it is the same file that says http.
func plainly(in func(Registry, Client, Options) (Placement, error)) func(Registry, Client, Options) (Placement, error) {
	return func(r Registry, c Client, opts Options) (Placement, error) {
		if !r.Plain {
			return Placement{}, fault.Usage("use --store "+string(Containerd)+", k3s or buildkit, which place the CA", "the registry speaks TLS: for this runtime there is no insecure form of it")
		}
		p, err := in(r, c, opts)
		p.Store, p.Warnings = Insecure, append(p.Warnings, insecureWarning(r))
		return p, err
	}
}
