package scenario

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// A registry in a swarm is a service of as many tasks as there are replicas. They see
// nothing of DIR: what is in serve/ goes to them as configs and secrets, so that each
// change of a file is an update of the service, one task after the other.

// swarmPlace is where a task sees its files.
func swarmPlace(dir statedir.Dir, s spec.Spec) Place {
	p := dockerPlace(dir, s)
	p.Runs = serviceRef(s)
	return p
}

func serviceRef(s spec.Spec) host.Ref { return host.Ref{Kind: engine.KindService, Path: s.Name} }

// swarmSite runs the registry as a service of the swarm that this machine manages.
func swarmSite(ctx context.Context, r *Registry) (*site, error) {
	docker, err := openDocker(ctx, r)
	if err != nil {
		return nil, err
	}
	nodes, err := docker.SwarmNodes(ctx)
	if err != nil {
		return nil, err
	}
	user, err := docker.ServeUser(ctx)
	if err != nil {
		return nil, err
	}
	c := chosenImage{}
	if err := c.ours(ctx, docker, r); err != nil {
		return nil, err
	}
	p := swarmPlace(r.Dir, r.Spec)
	p.UID, p.GID, p.ContainerUser = user.UID, user.GID, user.Container
	program, err := r.program()
	if err != nil {
		return nil, err
	}
	renewing, err := renewalSteps(r, renewalOptions(r, p, program, engine.FindSupervision()))
	if err != nil {
		return nil, err
	}
	want := service(r.Spec, r.Dir, user.Container, c, nodes)
	brought, err := r.imageOnNodes(ctx, docker, want, nodes)
	if err != nil {
		return nil, err
	}
	p.Runtime = join([]step.Step{c.step}, brought, r.followed(want), renewing)
	if volume := r.Spec.Storage.Volume; volume != "" {
		made := engine.Volume{Name: volume, Registry: r.Spec.Name, Dir: string(r.Dir), UID: p.UID, GID: p.GID}
		p.Runtime = append([]step.Step{engine.VolumeStep{Want: made}}, p.Runtime...)
	}
	s := newSwarmSite(docker, r, engine.Images{Exe: c.exe, Info: c.info, Progress: r.Progress}, engine.Binary{Source: program, Link: true})
	s.engine, s.place, s.image, s.own, s.service = docker.Endpoint(), p, c.info.Ref, c.own, want
	s.preflight = func(ctx context.Context) error { return r.swarmPreflight(ctx, docker, nodes, want, p) }
	return s, nil
}

// newSwarmSite is what commands that change nothing need.
func newSwarmSite(docker *engine.Docker, r *Registry, images engine.Images, own engine.Binary) *site {
	services := engine.Services{Docker: docker, Dir: string(r.Dir), Files: r.servedFiles}
	handlers := docker.Handlers(string(r.Dir), images)
	handlers[engine.KindBinary] = own
	handlers[engine.KindService] = services
	handlers[kindNodeImage] = r.nodeImages(docker)
	handlers[engine.KindRolled] = engine.Rolls{Services: services, Progress: func(text string) {
		if r.Progress != nil {
			r.Progress(text)
		}
	}}
	return &site{
		host:    host.NewLocal(withOurs(handlers)),
		runtime: swarmRuntime{services, r.Spec.Name},
		runs:    serviceRef(r.Spec),
		isRunning: func(f host.Fact) bool {
			var s struct{ Running bool }
			return json.Unmarshal(f.Data, &s) == nil && s.Running
		},
	}
}

// service is how the registry's service should be.
func service(s spec.Spec, dir statedir.Dir, user string, c chosenImage, nodes []engine.SwarmNode) engine.Service {
	want := engine.Service{
		Name: s.Name, Registry: s.Name, Dir: string(dir), User: user,
		Image: c.info.Ref, Args: c.args, Env: c.env, Health: c.health,
		Replicas: s.Count(), Port: uint16(s.Port), Inside: containerPort, Ingress: s.Swarm.Publish == spec.PublishIngress,
		Constraints: slices.Clone(s.Swarm.Constraints), AddHosts: s.AddHosts,
	}
	if s.Anchored() {
		for _, n := range nodes {
			if n.Self {
				want.Constraints = append(want.Constraints, "node.id=="+n.ID)
			}
		}
	}
	switch {
	case s.Storage.Driver != spec.StorageFilesystem:
	case s.Storage.Volume != "":
		want.Mounts = []engine.Mount{{Source: s.Storage.Volume, Target: containerData, Volume: true}}
	default:
		want.Mounts = []engine.Mount{{Source: dir.Data(), Target: containerData}}
	}
	return want
}

// swarmEndpoint is the registry as this machine reaches it: by the address of a node
// that has a task, which need not be this one.
func (r *Registry) swarmEndpoint(ctx context.Context) engine.Endpoint {
	endpoint := engine.Endpoint{URL: r.Spec.Endpoint(), Addr: "127.0.0.1:" + strconv.Itoa(r.Spec.Port)}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	docker, err := openDocker(ctx, r)
	if err != nil {
		return endpoint
	}
	defer docker.Close()
	status, err := engine.Services{Docker: docker, Dir: string(r.Dir)}.InspectService(ctx, r.Spec.Name)
	if err != nil || status.Service.Ingress {
		return endpoint
	}
	for _, t := range status.Tasks {
		if !t.Runs() {
			continue
		}
		endpoint.Addr = t.Address(uint16(r.Spec.Port))
		if strings.HasPrefix(endpoint.Addr, "127.") {
			break
		}
	}
	return endpoint
}
