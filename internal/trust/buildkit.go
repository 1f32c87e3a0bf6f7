package trust

import "github.com/regctl/regctl/internal/host"

// buildKit enters the registry in the configuration of a buildkitd of its own,
// which reads it when it starts. Builders that buildx keeps in containers have
// their own: docker buildx create --buildkitd-config.
func buildKit(r Registry, c Client, opts Options) (Placement, error) {
	return buildkitdTOML(BuildKit, r, c, opts, "")
}

func buildkitdTOML(s Store, r Registry, c Client, opts Options, upstream string) (Placement, error) {
	base, uid, gid := "/etc/buildkit", 0, 0
	p := Placement{Store: s, Effect: Restart}
	if !c.root() {
		base, uid, gid = c.Home+"/.config/buildkit", c.UID, c.GID
		p.Steps = r.dirs(uid, gid, c.Home+"/.config")
	}
	p.Steps = append(p.Steps, r.dirs(uid, gid, base)...)
	ca := ""
	if !r.Plain && len(r.CA) > 0 {
		p.Steps = append(p.Steps, r.dirs(uid, gid, base+"/certs.d", base+"/certs.d/"+r.Address())...)
		ca = base + "/certs.d/" + r.Address() + "/ca.crt"
		p.Steps = append(p.Steps, p.ca(r, ca, uid, gid))
	}
	p.Path = base + "/buildkitd.toml"
	p.Steps = append(p.Steps, Edit{
		Path: p.Path, Mode: 0o644, UID: uid, GID: gid, Editor: BuildKitTOML{r.Address(), upstream, r.Plain, ca},
		Then: func(_, _ []byte) ([]host.Op, error) {
			if !c.runs("buildkitd") {
				return nil, nil // it reads the file when it starts
			}
			return needRestart(opts, "buildkit", "buildkitd.toml")
		},
	})
	return p, nil
}
