package trust

import (
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// edit says when the end of a part of ours in somebody else's file takes effect.
func (u *undoing) edit(p *Placement, editor Editor, ref host.Ref) {
	c := u.client
	switch editor.(type) {
	case DaemonJSON:
		p.Effect = Reload
		switch {
		case ref.Path != c.daemonJSON():
			if c.hasRootless() {
				p.Pending = "systemctl --user reload docker"
			}
		case c.DockerdPID > 0 && c.reloadLoses() && both(u.without(c.DaemonConfig, ref)):
			u.needs(p, "docker", ref)
		}
	case ShellFlag:
		if c.DockerdPID > 0 {
			u.needs(p, "docker", ref)
		}
	case ConfigPath:
		// The setting stays while another registry of ours is in the file.
		dir, err := ConfigPathIn(u.without(c.ContainerdConfig, ref))
		if err == nil && dir == "" && c.runs("containerd") {
			u.needs(p, "containerd", ref)
		}
	case RegistriesYAML:
		service := word(c.K3sServer || c.runs("k3s-server"), "k3s", "k3s-agent")
		if strings.HasPrefix(ref.Path, "/etc/rancher/rke2/") {
			service = "rke2-" + word(c.RKE2Server, "server", "agent")
		}
		if c.runs("k3s", "k3s-server", "k3s-agent", "rke2") {
			u.needs(p, service, ref)
		}
	case BuildKitTOML:
		if c.runs("buildkitd") {
			u.needs(p, "buildkit", ref)
		}
	}
}

// without is the file when all the parts that go have gone.
func (u *undoing) without(data []byte, ref host.Ref) []byte {
	for _, e := range u.entries {
		if refOf(e) != ref || !u.goes(e) {
			continue
		}
		if editor, err := FromPart(e.Part); err == nil {
			if after, err := editor.Remove(data); err == nil {
				data = after
			}
		}
	}
	return data
}

// needs has a service restarted when all is taken back, or says that it is to be.
func (u *undoing) needs(p *Placement, name string, ref host.Ref) {
	p.Effect = Restart
	if !u.opts.Restart {
		p.Pending = "restart " + name
		return
	}
	i := slices.IndexFunc(u.tell, func(s service) bool { return s.name == name })
	if i < 0 {
		i = len(u.tell)
		u.tell = append(u.tell, service{name: name})
	}
	if !slices.Contains(u.tell[i].refs, ref) {
		u.tell[i].refs = append(u.tell[i].refs, ref)
	}
}

func (u *undoing) restart() {
	for _, s := range u.tell {
		op := host.RestartService(s.name)
		last := &u.placed[len(u.placed)-1]
		last.Steps = append(last.Steps, after{name: op.Path, refs: s.refs, ops: []host.Op{op}})
	}
}
