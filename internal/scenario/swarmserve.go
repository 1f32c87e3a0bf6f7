package scenario

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// followed has the service take over what there is, and waits until all its tasks have.
func (r *Registry) followed(want engine.Service) []step.Step {
	return []step.Step{
		engine.ServiceStep{Want: want, Files: servedRefs(r.Dir), Pause: r.pause()},
		r.rolled(&want, false),
	}
}

// rolled waits for a service that was made as made, or just updated.
func (r *Registry) rolled(made *engine.Service, updated bool) engine.RolledStep {
	rolled := engine.Rolled{Service: r.Spec.Name, Endpoint: engine.Endpoint{URL: r.Spec.Endpoint()}, Made: made, Updated: updated}
	if r.Spec.TLS.Mode != spec.TLSNone {
		rolled.Leaf = r.chainPath()
	}
	return engine.RolledStep{Want: rolled, After: []host.Ref{serviceRef(r.Spec)}}
}

// pause is what an update costs clients, as measured: see docs/swarm.md.
func (r *Registry) pause() string {
	switch {
	case r.Spec.Swarm.Publish == spec.PublishIngress:
		return ""
	case r.Spec.Count() == 1:
		return "one task: for some seconds nobody answers, from when it stops until its successor runs"
	}
	return "one task after the other: the addresses of the others answer meanwhile"
}

// updating says what is about to be done to the service, and what that costs.
func (r *Registry) updating(op host.Op) string {
	text := "updating " + op.Ref.String()
	if !op.Want.Exists {
		text = "restarting " + op.Ref.String()
	}
	if pause := r.pause(); pause != "" {
		text += ": " + pause
	}
	return text
}

// servedRefs are what serve/ is made of.
func servedRefs(dir statedir.Dir) []host.Ref {
	refs := restartFiles(dir, true)
	for _, name := range []string{"htpasswd", "token.key", distconfig.RedisCA} {
		refs = append(refs, fileRef(dir.Join("serve", name)))
	}
	return append(refs, fileRef(dir.ServeExtra()))
}

// openFiles are those of serve/ that are no secret.
var openFiles = []string{"tls/current/crt", "token-ca.pem", "token-jwks.json", mirrorCA, distconfig.RedisCA}

// servedFiles are what tasks are given: none before there is a registry.
func (r *Registry) servedFiles() ([]engine.ServedFile, error) {
	files, err := r.served()
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []engine.ServedFile
	for name, data := range files {
		if temp, _ := filepath.Match(host.TempPattern, name); temp {
			continue
		}
		all = append(all, engine.ServedFile{Path: name, Data: data, Secret: !slices.Contains(openFiles, name)})
	}
	slices.SortFunc(all, func(a, b engine.ServedFile) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// isRolled reports whether no task is left that is not as the service is by now; of
// other runtimes there is nothing to say.
func (r *Registry) isRolled(ctx context.Context) bool {
	swarm, ok := r.site.runtime.(swarmRuntime)
	if !ok {
		return true
	}
	found, err := swarm.services.InspectService(ctx, swarm.name)
	return err == nil && found.Current() && !found.Rolling
}

// followedNow has the service that there is take over the files that there are: what
// else regctl.yaml may say by now is for apply. Where there is none it is no steps.
func (r *Registry) followedNow(ctx context.Context) ([]step.Step, error) {
	swarm, ok := r.site.runtime.(swarmRuntime)
	if !ok {
		return nil, nil
	}
	found, err := swarm.services.InspectService(ctx, swarm.name)
	if err != nil || found.Foreign != "" || found.State == Absent {
		return nil, err
	}
	return []step.Step{
		engine.ServiceStep{Want: found.Service, Files: servedRefs(r.Dir), Stopped: found.State == Stopped, Pause: r.pause()},
		r.rolled(&found.Service, false),
	}, nil
}

// follow ends what a killed command left: the service takes over the files that there
// are. The directory is locked.
func (r *Registry) follow(ctx context.Context) error {
	steps, err := r.followedNow(ctx)
	if err != nil {
		return err
	}
	planned, err := step.Plan(ctx, r.site.host, steps)
	if err != nil || planned.Empty() {
		return err
	}
	return r.Power(ctx, planned)
}

// followers is followedNow for those who have not connected.
func (r *Registry) followers(ctx context.Context) (steps []step.Step, err error) {
	if r.site == nil {
		if r.site, err = openRuntime(ctx, r); err != nil {
			return nil, err
		}
	}
	return r.followedNow(ctx)
}

// noteImages notes images that an undo could not remove: a swarm keeps the containers
// of the tasks that it has given up for a while. Destroy removes them.
func (r *Registry) noteImages(ctx context.Context, undone []host.Receipt) error {
	if !r.Spec.Swarmed() || r.state.Phase != statedir.PhaseReady {
		return nil
	}
	undone = slices.DeleteFunc(slices.Clone(undone), func(receipt host.Receipt) bool { return receipt.Kind != engine.KindImage })
	var refs []host.Ref
	for _, receipt := range undone {
		refs = append(refs, receipt.Ref)
	}
	seen, err := r.site.host.Look(ctx, refs)
	for _, receipt := range undone {
		if seen[receipt.Ref].Exists && !receipt.Before.Exists {
			r.state.Receipts = step.Merge(r.state.Receipts, []host.Receipt{receipt})
		}
	}
	return err
}
