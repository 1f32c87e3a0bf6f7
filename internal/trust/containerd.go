package trust

import (
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// containerd enters the registry in hosts.toml under config_path, which is read
// anew for every pull (containerd, docs/hosts.md). Where config_path is not set it
// is set, if nothing stands against it, and containerd must restart. nerdctl reads
// the usual folder without being told.
func containerd(r Registry, c Client, opts Options) (Placement, error) {
	return hostsTOML(Containerd, r, c, opts, r.Address())
}

// hostsTOML sets up the registry for images of namespace: its own, or one that it
// mirrors.
func hostsTOML(s Store, r Registry, c Client, opts Options, namespace string) (Placement, error) {
	if !c.root() {
		return Placement{}, fault.Fail("log in as root or as a user with sudo", "containerd's files are root's")
	}
	p := Placement{Store: s, Effect: Now}
	base, set, err := c.configPath()
	if err != nil {
		return p, named(containerdConfig, err)
	}
	dir := base + "/" + namespace
	p.Steps = r.dirs(0, 0, "/etc/containerd", base, dir)
	ca := ""
	if !r.Plain && len(r.CA) > 0 {
		own := base + "/" + r.Address()
		if own != dir {
			p.Steps = append(p.Steps, r.dirs(0, 0, own)...)
		}
		ca = own + "/ca.crt"
		p.Steps = append(p.Steps, p.ca(r, ca, 0, 0))
	}
	p.Path = dir + "/hosts.toml"
	p.Steps = append(p.Steps, Edit{Path: p.Path, Mode: 0o644, Editor: HostsTOML{r.Address(), r.URL(), namespace != r.Address(), ca}})
	if set && c.cri() {
		p.Effect = Restart
	}
	if c.cri() {
		p.Steps = append(p.Steps, Edit{
			Path: containerdConfig, Mode: 0o644, Editor: ConfigPath{r.Address(), c.containerdMajor(), base},
			Then: func(old, _ []byte) ([]host.Op, error) {
				if dir, err := ConfigPathIn(old); err != nil || dir != "" {
					return nil, err // only a comment of ours is added
				}
				return needRestart(opts, "containerd", "config_path")
			},
		})
	}
	return p, nil
}

// configPath is the folder of hosts.toml files; set tells that config.toml must
// name it first.
func (c Client) configPath() (dir string, set bool, err error) {
	const usual = "/etc/containerd/certs.d"
	path, err := ConfigPathIn(c.ContainerdConfig)
	if err != nil || path == "" {
		return usual, true, err
	}
	first, _, _ := strings.Cut(path, ":")
	return first, false, nil
}

// containerdMajor tells containerd 2 by the version of its configuration: nothing
// below 2 reads version 3.
func (c Client) containerdMajor() int {
	if versionIn(c.ContainerdConfig) >= 3 {
		return 2
	}
	return 1
}

// cri reports whether containerd's CRI plugin is on and there is somebody to use it.
// That of a dockerd that runs has it switched off, or on and unused; so has one that is
// there for nerdctl.
func (c Client) cri() bool {
	if !c.has("containerd") && !c.runs("containerd") {
		return false
	}
	decoded, err := decodeTOML(c.ContainerdConfig)
	if err != nil {
		return true // and the edit says what is wrong with the file
	}
	for _, off := range []string{"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"} {
		if says(dig(decoded, "disabled_plugins"), off) {
			return false
		}
	}
	return c.has("crictl") || !c.has("nerdctl") && c.DockerdPID == 0 && !c.runs("dockerd")
}

// ownContainerd reports whether auto takes containerd for a runtime by itself. Where
// dockerd is installed and does not run, it may be that one's, unless somebody has set
// config_path for it.
func (c Client) ownContainerd() bool {
	dir, err := ConfigPathIn(c.ContainerdConfig)
	return c.has("nerdctl") || c.cri() && (c.has("crictl") || !c.has("dockerd") || err == nil && dir != "")
}
