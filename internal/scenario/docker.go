package scenario

import (
	"context"
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Where a registry in a container finds its files, and listens.
const (
	containerServe  = "/serve"
	containerConfig = containerServe + "/config.yml"
	containerData   = "/var/lib/registry"
	containerPort   = 5000
)

// dockerPlace is where a container sees its files. Whom it runs as is left out:
// only the engine knows.
func dockerPlace(dir statedir.Dir, s spec.Spec) Place {
	p := Place{
		Dir: dir, Now: time.Now(), Flavour: distconfig.Embedded,
		ServeAt: containerServe, DataAt: containerData, Runs: host.Ref{Kind: engine.KindContainer, Path: s.Name},
	}
	p.listening(s, ":"+strconv.Itoa(containerPort), containerSocket)
	return p
}

// dockerSite runs the registry as a container of this machine's Docker Engine.
func dockerSite(ctx context.Context, r *Registry) (*site, error) {
	docker, err := openDocker(ctx, r)
	if err != nil {
		return nil, err
	}
	user, err := docker.ServeUser(ctx)
	if err != nil {
		return nil, err
	}
	c := chosenImage{}
	if r.Spec.Image != "" {
		err = c.stock(ctx, docker, r.Spec.Image)
	} else {
		err = c.ours(ctx, docker, r)
	}
	if err != nil {
		return nil, err
	}
	p := dockerPlace(r.Dir, r.Spec)
	p.UID, p.GID, p.Flavour, p.ContainerUser = user.UID, user.GID, c.flavour, user.Container
	if ref := r.Spec.Proxy.Image; ref != "" {
		if err := docker.Fetch(ctx, ref); err != nil {
			return nil, err
		}
	}
	want := container(r.Spec, r.Dir, user.Container, c)
	if err := r.findFront(ctx, &p); err != nil {
		return nil, err
	}
	wait := replicaWait(r.Spec, 1)
	program, err := r.program()
	if err != nil {
		return nil, err
	}
	renewing, err := renewalSteps(r, renewalOptions(r, p, program, engine.FindSupervision()))
	if err != nil {
		return nil, err
	}
	p.Runtime = join(
		[]step.Step{
			c.step,
			engine.ContainerStep{Want: want, RestartIf: append(restartFiles(r.Dir, r.Spec.Image != "" && r.Spec.EndpointTLS()), mounted(r.Dir, socketDir(r.Spec))...)},
		},
		r.staleStock(replicaRef(r.Spec, 1)),
		renewing, // while the container gets ready
	)
	if r.Spec.Count() > 1 {
		p.Runtime = join([]step.Step{c.step}, rolled(r, want, 2, r.Spec.Count()), renewing)
		p.Last = rolled(r, want, 1, 1)
	} else if r.Spec.ProxyOnHost() || r.Spec.Socket() || !r.Spec.Proxied() {
		p.Runtime = append(p.Runtime, wait) // else only its proxy can tell
	}
	if network := want.Network; network != "" {
		made := engine.Network{Name: network, Registry: r.Spec.Name, Dir: string(r.Dir)}
		p.Runtime = append([]step.Step{engine.NetworkStep{Want: made}}, p.Runtime...)
	}
	if volume := r.Spec.Storage.Volume; volume != "" {
		made := engine.Volume{Name: volume, Registry: r.Spec.Name, Dir: string(r.Dir), UID: p.UID, GID: p.GID}
		p.Runtime = append([]step.Step{engine.VolumeStep{Want: made}}, p.Runtime...)
	}
	s := newDockerSite(docker, r.Dir, r.Spec, engine.Images{Exe: c.exe, Info: c.info, Progress: r.Progress}, engine.Binary{Source: program, Link: true})
	s.engine = docker.Endpoint()
	s.place, s.image, s.own = p, c.info.Ref, c.own
	s.preflight = func(ctx context.Context) error { return r.dockerPreflight(ctx, docker, want, p) }
	return s, nil
}

// dockerPreflight refuses what cannot succeed: a cache or a proxy that is not there, and
// ports that are taken.
func (r *Registry) dockerPreflight(ctx context.Context, docker *engine.Docker, want engine.Container, p Place) error {
	if err := r.redisPreflight(ctx, p); err != nil {
		return err
	}
	if err := r.proxyPreflight(ctx, p); err != nil || len(p.Withdrawn) > 0 {
		return err
	}
	if r.Spec.Proxied() && !r.Spec.ProxyOnHost() && !r.moves(ctx) {
		return docker.CheckPorts(ctx, proxyContainer(r.Spec, p))
	}
	for n := 1; n <= r.Spec.Count(); n++ {
		if err := docker.CheckPorts(ctx, replica(r.Spec, want, n)); err != nil {
			return err
		}
	}
	return nil
}

// openDocker offers no other runtime for a registry that has one.
func openDocker(ctx context.Context, r *Registry) (*engine.Docker, error) {
	docker, err := engine.OpenDocker(ctx, r.getenv)
	if err == nil || r.state.Runtime == "" || fault.IsUsage(err) {
		return docker, err
	}
	hint, _, _ := strings.Cut(fault.Hint(err), "; --runtime process")
	return nil, fault.Fail(hint, "%w", err)
}

// newDockerSite is what destroy needs too: the engine, and what runs in it.
func newDockerSite(docker *engine.Docker, dir statedir.Dir, s spec.Spec, images engine.Images, own engine.Binary) *site {
	handlers := docker.Handlers(string(dir), images)
	handlers[engine.KindBinary] = own
	return &site{
		host:    host.NewLocal(withOurs(handlers)),
		runtime: newRuntime(docker, dir, s),
		runs:    replicaRef(s, 1),
		isRunning: func(f host.Fact) bool {
			var c struct{ Running bool }
			return json.Unmarshal(f.Data, &c) == nil && c.Running
		},
	}
}

// container is how the registry's container should be.
func container(s spec.Spec, dir statedir.Dir, user string, c chosenImage) engine.Container {
	want := engine.Container{
		Name: s.Name, Registry: s.Name, Dir: string(dir), User: user,
		Image: c.info.Ref, Entrypoint: c.entrypoint, Args: c.args, Env: c.env, Health: c.health,
		Publish:  []engine.Port{{Host: uint16(s.Port), Container: containerPort}},
		Mounts:   []engine.Mount{{Source: dir.Serve(), Target: containerServe, ReadOnly: true}},
		AddHosts: s.AddHosts,
	}
	if driver, _ := s.Storage.Backend(); driver == spec.StorageS3 && c.flavour != distconfig.Embedded {
		want.Env = append(slices.Clone(want.Env), awsVariable+"="+containerServe+"/"+servedAWS)
	}
	switch addr, err := netip.ParseAddr(s.Bind); {
	case s.Socket():
		want.Publish = nil
		want.Mounts = append(want.Mounts, engine.Mount{Source: socketDir(s), Target: containerSocket})
	case s.Proxied() && !s.ProxyOnHost():
		want.Publish, want.Network = nil, networkName(s)
	case s.Proxied():
		want.Publish[0] = engine.Port{IP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Host: uint16(s.Proxy.BackendPort()), Container: containerPort}
		want.Network = networkName(s)
	case err == nil && !addr.IsUnspecified():
		want.Publish[0].IP = addr
	}
	switch {
	case s.Storage.Driver != spec.StorageFilesystem:
	case s.Storage.Volume != "":
		want.Mounts = append(want.Mounts, engine.Mount{Source: s.Storage.Volume, Target: containerData, Volume: true})
	default:
		want.Mounts = append(want.Mounts, engine.Mount{Source: dir.Data(), Target: containerData})
	}
	return want
}

// endpoint is the registry as this machine itself reaches it now, whatever its name
// resolves to.
func (r *Registry) endpoint(ctx context.Context) engine.Endpoint {
	if r.Spec.Swarmed() {
		return r.swarmEndpoint(ctx)
	}
	return ownEndpoint(r.Spec)
}

// ownEndpoint is endpoint but for a swarm, whose nodes one must ask the engine for.
func ownEndpoint(s spec.Spec) engine.Endpoint {
	addr, err := netip.ParseAddr(s.Bind)
	if err != nil || addr.IsUnspecified() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return engine.Endpoint{URL: s.Endpoint(), Addr: netip.AddrPortFrom(addr, uint16(s.Port)).String()}
}

// flavourOf guesses a stock image's version by its name, for a rendering that
// asks no engine.
func flavourOf(ref string) distconfig.Flavour {
	_, tag, _ := strings.Cut(path.Base(ref), ":")
	switch {
	case ref == "":
		return distconfig.Embedded
	case tag == "2" || strings.HasPrefix(tag, "2."):
		return distconfig.Stock2
	}
	return distconfig.Stock3
}
