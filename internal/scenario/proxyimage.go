package scenario

import (
	"net/netip"
	"path"
	"strconv"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// Where an nginx in a container finds its files, and listens. It runs as the
// registry's user, which owns the socket, and so on no port below 1024.
const (
	imageFolder = "/etc/regctl"
	imagePort   = 8443
)

// behindImage is --proxy nginx --proxy-image: a container of nginx's own has the port
// and TLS. Of DIR it sees DIR/proxy alone.
func behindImage(s spec.Spec, p Place) []step.Step {
	folder := p.Dir.Join("proxy")
	files := []host.Ref{fileRef(imageConf(p)), fileRef(imagePair(p))}
	var run []step.Step
	if len(p.Runtime) > 0 {
		run = []step.Step{
			engine.StockImage(s.Proxy.Image),
			engine.ContainerStep{Want: proxyContainer(s, p)},
			engine.ReloadStep{Container: proxyName(s), Check: nginxCommand("-t"), After: append(files, replicaRefs(s, p)...)},
			engine.WaitStep{Endpoint: ownEndpoint(s), Container: proxyName(s), After: append(append(files, replicaRefs(s, p)...), proxyRef(s))},
		}
	}
	return join(
		socketSteps(s, p),
		p.Withdrawn,
		p.Runtime,
		[]step.Step{serveDir(p, folder), confOfImage{s, p}},
		pairOfImage(s, p),
		usersAtProxy(s, p),
		asksFirst(s, p),
		run,
		p.Last,
		asksNoMore(s, p),
	)
}

func proxyName(s spec.Spec) string { return s.Name + "-proxy" }

func proxyRef(s spec.Spec) host.Ref { return host.Ref{Kind: engine.KindContainer, Path: proxyName(s)} }

func imageConf(p Place) string  { return p.Dir.Join("proxy", "nginx.conf") }
func imagePair(p Place) string  { return p.Dir.Join("proxy", "tls.pem") }
func imageUsers(p Place) string { return p.Dir.Join("proxy", "htpasswd") }

func nginxCommand(more ...string) []string {
	return append([]string{"nginx", "-c", path.Join(imageFolder, "nginx.conf"), "-g", "daemon off; pid /tmp/nginx.pid;"}, more...)
}

// proxyContainer is how the proxy's container should be. It is in the private network
// of a stock image, and mounts the socket of the embedded registry.
func proxyContainer(s spec.Spec, p Place) engine.Container {
	command := nginxCommand()
	want := engine.Container{
		Name: proxyName(s), Registry: s.Name, Dir: string(p.Dir), User: p.ContainerUser,
		Image: s.Proxy.Image, Entrypoint: command[:1], Args: command[1:],
		Publish: []engine.Port{{Host: uint16(s.Port), Container: imagePort}},
		Mounts:  []engine.Mount{{Source: p.Dir.Join("proxy"), Target: imageFolder, ReadOnly: true}},
		Tmpfs:   []string{"/tmp", "/var/cache/nginx", "/var/lib/nginx", "/var/log/nginx"},
	}
	if addr, err := netip.ParseAddr(s.Bind); err == nil && !addr.IsUnspecified() {
		want.Publish[0].IP = addr
	}
	if s.Socket() {
		for n := 1; n <= s.Count(); n++ {
			want.Mounts = append(want.Mounts, engine.Mount{Source: replicaSocketDir(s, n), Target: socketInProxy(n)})
		}
	} else {
		want.Network = networkName(s)
	}
	return want
}

// socketInProxy is where the proxy's container sees the nth registry's folder.
func socketInProxy(n int) string {
	if n == 1 {
		return containerSocket
	}
	return containerSocket + "-" + strconv.Itoa(n)
}

func networkName(s spec.Spec) string { return "regctl-" + s.Name }

// siteOfImage is the site as the container serves it.
func siteOfImage(s spec.Spec, p Place) proxy.Site {
	site := p.front(s, p.Front.unmade)
	site.Listen = []string{"8443"}
	site.Upstreams = []string{s.Name + ":5000"}
	if s.Socket() {
		site.Upstreams = nil
		for n := 1; n <= s.Count(); n++ {
			site.Upstreams = append(site.Upstreams, "unix:"+path.Join(socketInProxy(n), socketName))
		}
	}
	if s.ProxyAsks() {
		site.UsersFile = path.Join(imageFolder, "htpasswd")
	}
	return site
}

// confOfImage keeps the whole nginx.conf.
type confOfImage struct {
	spec  spec.Spec
	place Place
}

func (c confOfImage) Name() string      { return imageConf(c.place) }
func (c confOfImage) Reads() []host.Ref { return []host.Ref{fileRef(imageConf(c.place))} }

func (c confOfImage) Plan(seen host.Facts) (step.Change, error) {
	text, err := proxy.RenderContainer(siteOfImage(c.spec, c.place), path.Join(imageFolder, "tls.pem"))
	if err != nil {
		return step.Change{}, err
	}
	return forRegistry(c.place, imageConf(c.place), text).Plan(seen)
}

// forRegistry is a file that the registry's user reads, as the proxy in a container does.
func forRegistry(p Place, path string, data []byte) step.WriteFile {
	return step.WriteFile{Path: path, Data: data, Mode: 0o600, UID: p.UID, GID: p.GID}
}

// pairOfImage is the proxy's copy of the pair, in one file.
func pairOfImage(s spec.Spec, p Place) []step.Step {
	if s.TLS.Mode == spec.TLSNone {
		return nil
	}
	return []step.Step{pairCopy{p}}
}

type pairCopy struct{ place Place }

func (c pairCopy) Name() string      { return imagePair(c.place) }
func (c pairCopy) Reads() []host.Ref { return []host.Ref{fileRef(imagePair(c.place))} }

func (c pairCopy) Plan(seen host.Facts) (step.Change, error) {
	now := c.place.Front.pair
	if !now.late {
		return c.write(*now).Plan(seen)
	}
	change, err := c.write(c.place.Front.unmade).Plan(seen)
	change.Make = lateOps(func() (step.Change, error) { return c.write(*now).Plan(seen) })
	return change, err
}

func (c pairCopy) write(use pair) step.WriteFile {
	w := forRegistry(c.place, imagePair(c.place), append(append([]byte{}, use.crt...), use.key...))
	w.Secret = true
	return w
}
