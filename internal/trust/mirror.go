package trust

import (
	"errors"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// needMirror refuses a registry that is no mirror.
func needMirror(r Registry) error {
	if r.Upstream() == "" {
		return fault.Usage("make it one with init --mirror-of URL, or leave --as-mirror away", "the registry is not a mirror")
	}
	return nil
}

// errHubAlone is why Docker has no mirror of another registry.
var errHubAlone = errors.New("a mirror in Docker is one of Docker Hub alone")

// withoutDocker tells whether a mirror that Docker cannot use is one that another
// runtime on the client uses: then the host does not fail for it, and is told.
func withoutDocker(err error, all []chosen) bool {
	mirrors := 0
	for _, one := range all {
		if one.store == Mirror {
			mirrors++
		}
	}
	return mirrors > 1 && errors.Is(err, errHubAlone)
}

// mirrorDocker lists the registry in registry-mirrors of daemon.json. Docker asks
// mirrors for images of Docker Hub alone.
func mirrorDocker(r Registry, c Client, opts Options) (Placement, error) {
	p := Placement{Store: Mirror, Effect: Reload, Path: c.daemonJSON()}
	if err := needMirror(r); err != nil {
		return p, err
	}
	if up := r.Upstream(); up != "docker.io" {
		return p, fault.Fail("leave --as-mirror away for Docker and pull as "+r.Address()+"/…, or use a runtime that knows such mirrors",
			"%w, and the registry mirrors %s", errHubAlone, up)
	}
	if len(c.flag("--registry-mirror")) > 0 {
		return p, fault.Fail("add the mirror where that flag is set", "dockerd runs with the flag --registry-mirror and would not start with registry-mirrors in %s as well", p.Path)
	}
	return p, p.daemonJSON(r, DaemonJSON{RegistryMirrors, r.URL()}, c, opts, quote(r.URL()+"/"))
}

// mirrorPodman names the registry as a mirror in a drop-in of our own.
func mirrorPodman(r Registry, c Client, _ Options) (Placement, error) {
	if err := needMirror(r); err != nil {
		return Placement{}, err
	}
	lines := []string{
		"[[registry]]", "prefix = " + tomlText(r.Upstream()), "location = " + tomlText(r.Upstream()),
		"", "[[registry.mirror]]", "location = " + tomlText(r.Address()),
	}
	if r.Plain {
		lines = append(lines, "insecure = true")
	}
	return dropIn(Mirror, r, c, r.fileName()+"-mirror", strings.Join(lines, "\n")+"\n"), nil
}

func mirrorContainerd(r Registry, c Client, opts Options) (Placement, error) {
	if err := needMirror(r); err != nil {
		return Placement{}, err
	}
	return hostsTOML(Mirror, r, c, opts, r.Upstream())
}

func mirrorK3s(r Registry, c Client, opts Options) (Placement, error) {
	if err := needMirror(r); err != nil {
		return Placement{}, err
	}
	return registriesYAML(Mirror, r, c, opts, r.Upstream())
}

func mirrorBuildKit(r Registry, c Client, opts Options) (Placement, error) {
	if err := needMirror(r); err != nil {
		return Placement{}, err
	}
	return buildkitdTOML(Mirror, r, c, opts, r.Upstream())
}
