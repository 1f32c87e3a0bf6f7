package trust

import (
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// legacy puts the flag --insecure-registry into the file that the service of old
// Docker packages reads it from: DOCKER_OPTS of /etc/default/docker on Debian and
// Ubuntu, INSECURE_REGISTRY or else OPTIONS of /etc/sysconfig/docker on Red Hat.
func legacy(r Registry, c Client, opts Options) (Placement, error) {
	p := Placement{Store: Legacy, Effect: Restart, Warnings: []string{insecureWarning(r)}}
	if !c.root() {
		return p, fault.Fail("log in as root or as a user with sudo", "the flags of dockerd are root's")
	}
	name := "DOCKER_OPTS"
	switch {
	case c.is("debian", "ubuntu"):
		p.Path = "/etc/default/docker"
	case c.is("rhel", "fedora", "centos"):
		p.Path, name = sysconfigDocker, SysconfigVar(c.Sysconfig)
	default:
		return p, fault.Fail("use --store insecure, or set the flag where this dockerd gets its others from", "where %s keeps the flags of dockerd is not known", orDash(c.OS))
	}
	p.Steps = append(p.Steps, Edit{
		Path: p.Path, Mode: 0o644, Editor: ShellFlag{name, r.Address()},
		Then: func(_, _ []byte) ([]host.Op, error) {
			if c.DockerdPID == 0 {
				return nil, nil
			}
			ops, err := needRestart(opts, "docker", "a flag of dockerd")
			if err == nil && c.has("docker", "curl") {
				ops = append(ops, host.DockerInfoShows(quote(r.Address())))
			}
			return ops, err
		},
	})
	return p, nil
}
