package scenario

import (
	"context"
	"io"
	"maps"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
)

// runtime is what the running registry can be asked.
type runtime interface {
	Inspect(ctx context.Context) (engine.Status, error)
	Logs(ctx context.Context, follow bool, tail int, w io.Writer) error
	// RebootCover says what starts the registry after a reboot; "" where that goes
	// without saying.
	RebootCover(ctx context.Context) string
}

// site is the registry's machine made ready for its steps.
type site struct {
	host      *host.Local
	place     Place
	runtime   runtime
	runs      host.Ref  // the container, process or unit
	want      host.Fact // what runs, as a restart must have it; not needed for a container
	isRunning func(host.Fact) bool
	image     string         // what the container runs; "" without one
	own       bool           // what runs, or will, is made of this executable
	service   engine.Service // in a swarm
	// engine is the address of the Docker Engine, for those who know no environment.
	engine string
	// preflight refuses what cannot succeed, such as a port that is taken.
	preflight func(context.Context) error
}

// openSite opens the runtime that the spec names.
func openSite(ctx context.Context, r *Registry) (*site, error) {
	switch r.Spec.Runtime {
	case spec.RuntimeSwarm:
		return swarmSite(ctx, r)
	case spec.RuntimeProcess:
		p := processPlace(r, r.Spec)
		if err := r.findFront(ctx, &p); err != nil {
			return nil, err
		}
		return processSite(r, p)
	}
	return dockerSite(ctx, r)
}

// openRuntime is openSite for commands that change nothing: it asks for no more
// than a status needs.
func openRuntime(ctx context.Context, r *Registry) (*site, error) {
	if r.Spec.Runtime == spec.RuntimeProcess {
		return processSite(r, processPlace(r, r.Spec))
	}
	docker, err := openDocker(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Spec.Swarmed() {
		return newSwarmSite(docker, r, engine.Images{}, engine.Binary{}), nil
	}
	return newDockerSite(docker, r.Dir, r.Spec, engine.Images{}, engine.Binary{}), nil
}

// withOurs adds the kinds of thing that every site knows. Those of the process
// runtime need no engine, and a command that was killed early has not noted yet
// which runtime it was to be.
func withOurs(handlers map[host.Kind]host.Handler) map[host.Kind]host.Handler {
	all := processHandlers()
	maps.Copy(all, frontHandlers())
	all[kindTree] = trees{}
	maps.Copy(all, handlers)
	return all
}

// describe names what an op is about, for people.
func (s *site) describe(op host.Op) string {
	switch op.Kind {
	case engine.KindProcess:
		return "the registry's process"
	case engine.KindRolled:
		return "the tasks of service " + op.Path
	case engine.KindReady:
		return op.Path + " to answer"
	case engine.KindBinary, engine.KindTimer, kindTree:
		return op.Path
	case kindNodeImage:
		return onNodes(op.Ref)
	case engine.KindLoop:
		return "what renews the certificate"
	}
	return op.Ref.String()
}

// mounted are the folders that a container mounts: one made anew is seen by it
// only when it starts again.
func mounted(dir statedir.Dir, socket string) []host.Ref {
	return []host.Ref{{Kind: kindSocketFolder, Path: socket}, {Kind: host.Dir, Path: dir.Serve()}, {Kind: host.Dir, Path: dir.Data()}}
}

// restartFiles are those that the registry reads only when it starts. It watches
// regctl-serve.yaml and htpasswd, and what of the former it cannot take over is in
// config.yml too.
func restartFiles(dir statedir.Dir, stock bool) []host.Ref {
	refs := []host.Ref{
		fileRef(dir.ServeConfig()), fileRef(dir.TokenRootCA()), fileRef(dir.TokenJWKS()),
		fileRef(dir.Join("serve", servedSecrets)), fileRef(dir.Join("serve", servedAWS)), fileRef(dir.Join("serve", mirrorCA)),
	}
	if stock {
		refs = append(refs, host.Ref{Kind: host.Link, Path: dir.Join("serve", "tls", "current")})
	}
	return refs
}
