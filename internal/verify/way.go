package verify

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// pulls is how a store's runtime pulls, or why it cannot.
func (v verifier) pulls(p trust.Placement) (w way, why string) {
	if v.target.Canary == nil {
		return w, cmp.Or(v.target.WhyNone, "the registry has no image for it now")
	}
	switch runtimeOf(p) {
	case trust.Docker:
		return v.docker(p, "/var/run/docker.sock")
	case trust.Rootless:
		return v.docker(p, "/run/user/"+strconv.Itoa(v.client.LoginUID)+"/docker.sock")
	case trust.Podman:
		return v.podman(p)
	case trust.Containerd:
		return v.containerd(p)
	case trust.K3s:
		return v.k3s(p)
	case trust.BuildKit:
		return v.buildKit(p)
	}
	return w, "it is no runtime's own"
}

// runtimeOf is whose a placement is. For insecure, legacy and mirror the file tells.
func runtimeOf(p trust.Placement) trust.Store {
	switch p.Store {
	case trust.Insecure, trust.Legacy, trust.Mirror:
	default:
		return p.Store
	}
	switch name := path.Base(p.Path); {
	case name == "hosts.toml":
		return trust.Containerd
	case name == "registries.yaml":
		return trust.K3s
	case name == "buildkitd.toml":
		return trust.BuildKit
	case path.Base(path.Dir(p.Path)) == "registries.conf.d":
		return trust.Podman
	case strings.HasSuffix(p.Path, "/.config/docker/daemon.json"):
		return trust.Rootless
	}
	return trust.Docker
}

// pull is the canary for a tool. A mirror's is named as an image of what it mirrors:
// that it comes proves that the mirror was asked.
func (v verifier) pull(p trust.Placement, form func(credential) []byte) host.Pull {
	ref := v.target.Canary
	pull := host.Pull{Image: ref.Name, Digests: ref.Digests, Patience: v.patience}
	c := credential{registry: v.target.Registry.Address(), user: ref.User, password: ref.Password}
	if v.target.User != "" {
		c.user, c.password = v.target.User, v.target.Password
	}
	if p.Store == trust.Mirror {
		pull.Image = v.target.Registry.Upstream() + "/" + ref.Repository + ":" + ref.Tag
	}
	pull.Secret = form(c)
	return pull
}

// guarded reports whether a pull takes a credential.
func (v verifier) guarded() bool { return v.target.User != "" || v.target.Canary.User != "" }

func (v verifier) has(tool string) bool { return v.client.Tools[tool] != "" }

func (v verifier) runs(daemons ...string) bool {
	return slices.ContainsFunc(daemons, func(d string) bool { return len(v.client.Daemons[d]) > 0 })
}

func (v verifier) listens(socket string) bool { return slices.Contains(v.client.Sockets, socket) }

// docker pulls with the engine behind a socket. It hands its credential for a mirror
// to Docker Hub too when the mirror does not answer, so with one the registry is
// asked by its own name.
func (v verifier) docker(p trust.Placement, socket string) (w way, why string) {
	note := ""
	if p.Store == trust.Mirror && v.guarded() {
		p.Store, note = trust.Docker, "pulled from the registry itself, not by way of the mirror: Docker would show the password to Docker Hub too"
	}
	switch {
	case !v.listens(socket):
		return w, "no dockerd listens at " + socket
	case v.has("docker"):
		return way{"docker pull", note, v.pull(p, credential.dockerConfig).ByDocker(socket)}, ""
	case v.has("curl"):
		return way{"docker API by curl", note, v.pull(p, credential.curlConfig).ByDockerAPI(socket)}, ""
	}
	return w, "there is neither docker nor curl to tell dockerd to"
}

// podman pulls with the tools that read what is placed for podman. CRI-O does too,
// but takes a credential by the arguments of crictl alone.
func (v verifier) podman(p trust.Placement) (w way, why string) {
	pull := v.pull(p, credential.dockerConfig)
	const crio = "/run/crio/crio.sock"
	switch {
	case v.has("podman"):
		return way{"podman pull", "", pull.ByPodman()}, ""
	case v.has("buildah"):
		return way{"buildah pull", "", pull.ByBuildah()}, ""
	case v.listens(crio) && v.has("crictl") && !v.guarded():
		return way{"crictl pull", "", pull.ByCrictl(host.Containerd{Socket: crio})}, ""
	case v.has("skopeo"):
		return way{"skopeo copy", "skopeo reads what podman, buildah and CRI-O read", pull.BySkopeo()}, ""
	case v.runs("crio"):
		return w, "crictl takes a password only where others can read it"
	}
	return w, "there is neither podman, buildah nor skopeo"
}

const noCRI = "ctr reads the same hosts.toml as containerd's CRI plugin, but proves nothing about that plugin"

// containerd pulls by CRI where that takes no credential.
func (v verifier) containerd(p trust.Placement) (w way, why string) {
	at := host.Containerd{Socket: "/run/containerd/containerd.sock"}
	hosts := "/etc/containerd/certs.d"
	if runtimeFile := path.Dir(path.Dir(p.Path)); strings.HasSuffix(p.Path, "/hosts.toml") {
		hosts = runtimeFile
	}
	switch {
	case !v.listens(at.Socket):
		return w, "no containerd listens at " + at.Socket
	case v.has("crictl") && !v.guarded():
		return way{"crictl pull", "", v.pull(p, credential.none).ByCrictl(at)}, ""
	case v.has("nerdctl"):
		note := ""
		if v.has("crictl") {
			note = "nerdctl proves nothing about containerd's CRI plugin"
		}
		return way{"nerdctl pull", note, v.pull(p, credential.dockerConfig).ByNerdctl()}, ""
	case v.has("ctr"):
		return way{"ctr pull", noCRI, v.pull(p, credential.header).ByCtr(at, v.target.Registry.URL(), hosts)}, ""
	}
	return w, "there is neither crictl, nerdctl nor ctr"
}

// k3s pulls with the clients that k3s and rke2 bring along, as containerd does.
func (v verifier) k3s(p trust.Placement) (w way, why string) {
	at := host.Containerd{Via: "k3s", Socket: "/run/k3s/containerd/containerd.sock"}
	if strings.HasPrefix(p.Path, "/etc/rancher/rke2/") {
		at.Via = "rke2"
	}
	switch {
	case !v.listens(at.Socket):
		return w, "no containerd listens at " + at.Socket
	case !v.guarded():
		return way{"crictl pull", "", v.pull(p, credential.none).ByCrictl(at)}, ""
	}
	hosts := "/var/lib/rancher/" + at.Via + "/agent/etc/containerd/certs.d"
	return way{"ctr pull", noCRI, v.pull(p, credential.header).ByCtr(at, v.target.Registry.URL(), hosts)}, ""
}

// buildKit builds from the image.
func (v verifier) buildKit(p trust.Placement) (w way, why string) {
	const socket = "/run/buildkit/buildkitd.sock"
	switch {
	case !v.listens(socket):
		return w, "no buildkitd listens at " + socket
	case !v.has("buildctl"):
		return w, "there is no buildctl"
	}
	return way{"buildctl build", "", v.pull(p, credential.dockerConfig).ByBuildctl(socket)}, ""
}
