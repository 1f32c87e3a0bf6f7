package trust

import (
	"slices"

	"github.com/regctl/regctl/internal/fault"
)

// planner places a registry in one store.
type planner func(Registry, Client, Options) (Placement, error)

// runtimeOf is what one container runtime takes: a CA, plain HTTP, a mirror.
type runtimeOf struct {
	store                    Store // its name, and its store of CAs
	secure, insecure, mirror planner
}

// runtimes are all that regctl knows, in the order in which they are set up.
func runtimes() []runtimeOf {
	return []runtimeOf{
		{Docker, docker, insecureDocker, mirrorDocker},
		{Rootless, rootless, insecureRootless, nil},
		{Podman, podman, insecurePodman, mirrorPodman},
		{Containerd, containerd, plainly(containerd), mirrorContainerd},
		{K3s, k3s, plainly(k3s), mirrorK3s},
		{BuildKit, buildKit, plainly(buildKit), mirrorBuildKit},
	}
}

// there reports whether the client has a runtime. Docker's private containerd does
// not count as containerd; see Client.ownContainerd.
func (c Client) there(s Store) bool {
	switch s {
	case Docker:
		return c.has("dockerd") || c.runs("dockerd") || c.DockerdPID > 0
	case Rootless:
		return c.hasRootless()
	case Podman:
		return c.has("podman", "buildah", "crio") || c.runs("crio")
	case Containerd:
		return c.ownContainerd()
	case K3s:
		return c.has("k3s", "rke2") || c.runs("k3s", "k3s-server", "k3s-agent", "rke2")
	case BuildKit:
		return c.has("buildkitd") || c.runs("buildkitd")
	}
	return false
}

// Detect is what --store auto means on a client: the store of each runtime there,
// for plain HTTP its insecure form. Where the running dockerd has the flag
// --insecure-registry, that form is the flag: with the key in daemon.json beside it,
// dockerd would not start again.
func Detect(r Registry, c Client) []Store {
	var found []Store
	add := func(s Store) {
		if !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	for _, rt := range runtimes() {
		switch {
		case !c.there(rt.store):
		case !r.Plain:
			add(rt.store)
		case rt.store == Docker && len(c.flag("--insecure-registry")) > 0:
			add(Legacy)
		default:
			add(Insecure)
		}
	}
	return found
}

// chosen is a store with the planner that fills it.
type chosen struct {
	store  Store
	plan   planner
	single bool // it holds either form of a registry, and not both
}

// single reports whether a runtime has one file for either form.
func single(s Store) bool { return slices.Contains([]Store{Containerd, K3s, BuildKit}, s) }

// choose turns stores into planners. insecure stands for every runtime that is
// there, save a Docker that takes the legacy form; where there is none, for Docker.
func choose(c Client, stores []Store, opts Options) ([]chosen, error) {
	var all []chosen
	for _, s := range stores {
		switch s {
		case OS:
			all = append(all, chosen{store: OS, plan: operatingSystem})
		case Legacy:
			all = append(all, chosen{store: Legacy, plan: legacy})
		case Insecure:
			all = append(all, insecureForms(c, slices.Contains(stores, Legacy))...)
		default:
			i := slices.IndexFunc(runtimes(), func(rt runtimeOf) bool { return rt.store == s })
			if i < 0 {
				return nil, fault.Usage("one of auto, docker, docker-rootless, podman, containerd, k3s, buildkit, os, insecure, legacy", "there is no store %q", s)
			}
			all = append(all, chosen{s, runtimes()[i].secure, single(s)})
		}
	}
	if opts.AsMirror {
		all = append(all, mirrors(c, stores)...)
	}
	return all, nil
}

func insecureForms(c Client, legacyToo bool) []chosen {
	var all []chosen
	for _, rt := range runtimes() {
		if c.there(rt.store) && (rt.store != Docker || !legacyToo) {
			all = append(all, chosen{Insecure, rt.insecure, single(rt.store)})
		}
	}
	if len(all) == 0 && !legacyToo {
		all = []chosen{{store: Insecure, plan: insecureDocker}}
	}
	return all
}

// mirrors are those of the runtimes named, or of all that are there when only
// stores are named that are no runtime's own.
func mirrors(c Client, stores []Store) []chosen {
	var all, there []chosen
	for _, rt := range runtimes() {
		if rt.mirror == nil {
			continue
		}
		one := chosen{Mirror, rt.mirror, true}
		if slices.Contains(stores, rt.store) {
			all = append(all, one)
		}
		if c.there(rt.store) {
			there = append(there, one)
		}
	}
	if len(all) == 0 {
		return there
	}
	return all
}
