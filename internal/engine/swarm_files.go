package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

// What of a registry's directory tasks see, they see as configs and secrets, which
// swarm keeps encrypted on its managers and gives to the nodes that run a task. Neither
// can be changed: each is named after its content, so that other content is another
// name, and the service that names it another service, which swarm rolls out.

const (
	// servedAt is where tasks find them.
	servedAt = "/serve"
	// maxServed is what a secret may hold (moby daemon/cluster/convert and swarmkit's
	// MaxSecretSize); configs may hold more since API 1.46.
	maxServed = 500 << 10
	// nameRoom is how long the name of either may be.
	nameRoom = 64
	sumRoom  = 12
)

var noName = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)

// objectName is what the config or secret with that content is called.
func objectName(registry string, f ServedFile) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%s\x00", registry, f.Path)
	sum.Write(f.Data)
	what := noName.ReplaceAllString(strings.ReplaceAll(f.Path, "/current/", "/"), "-")
	if room := nameRoom - len(registry) - sumRoom - 2; len(what) > room {
		what = what[:room]
	}
	return registry + "-" + what + "-" + hex.EncodeToString(sum.Sum(nil))[:sumRoom]
}

// object is a config or a secret.
type object struct {
	id, name string
	labels   map[string]string
	secret   bool
}

func (o object) String() string {
	if o.secret {
		return "secret " + o.name
	}
	return "config " + o.name
}

// objects lists what there is of the registry's name, also of another's of that name.
func (h Services) objects(ctx context.Context, registry string) ([]object, error) {
	args := filters.NewArgs(filters.Arg("label", LabelRegistry+"="+registry))
	configs, err := h.Docker.api.ConfigList(ctx, swarm.ConfigListOptions{Filters: args})
	if err != nil {
		return nil, err
	}
	secrets, err := h.Docker.api.SecretList(ctx, swarm.SecretListOptions{Filters: args})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, c := range configs {
		all = append(all, object{c.ID, c.Spec.Name, c.Spec.Labels, false})
	}
	for _, s := range secrets {
		all = append(all, object{s.ID, s.Spec.Name, s.Spec.Labels, true})
	}
	return all, nil
}

// ours are those of the registry in h.Dir on this machine.
func (h Services) ours(all []object, node string) []object {
	return slices.DeleteFunc(slices.Clone(all), func(o object) bool {
		return o.labels[LabelNode] != node || !statedir.SameFolder(o.labels[LabelDir], h.Dir)
	})
}

// placeFiles has each file in the swarm and returns how a service refers to them.
func (h Services) placeFiles(ctx context.Context, s Service, node string, files []ServedFile) (placed, error) {
	all, err := h.objects(ctx, s.Registry)
	if err != nil {
		return placed{}, err
	}
	var p placed
	uid, gid, _ := strings.Cut(s.User, ":")
	for _, f := range files {
		f = served(f)
		if len(f.Data) > maxServed {
			return p, fault.Fail("make it smaller: a swarm's secrets hold no more", "%s has %d bytes, of at most %d", f.Path, len(f.Data), maxServed)
		}
		o, err := h.place(ctx, s, node, f, all)
		if err != nil {
			return p, err
		}
		target := path.Join(servedAt, f.Path)
		if f.Secret {
			p.secrets = append(p.secrets, &swarm.SecretReference{
				SecretID: o.id, SecretName: o.name,
				File: &swarm.SecretReferenceFileTarget{Name: target, UID: uid, GID: gid, Mode: 0o400},
			})
			continue
		}
		p.configs = append(p.configs, &swarm.ConfigReference{
			ConfigID: o.id, ConfigName: o.name,
			File: &swarm.ConfigReferenceFileTarget{Name: target, UID: uid, GID: gid, Mode: 0o444},
		})
	}
	slices.SortFunc(p.configs, func(a, b *swarm.ConfigReference) int { return cmp.Compare(a.File.Name, b.File.Name) })
	slices.SortFunc(p.secrets, func(a, b *swarm.SecretReference) int { return cmp.Compare(a.File.Name, b.File.Name) })
	return p, nil
}

// served is the file as tasks get it: swarm takes no secret without content, and a file
// of users may have none.
func served(f ServedFile) ServedFile {
	if len(f.Data) == 0 {
		f.Data = []byte("\n")
	}
	return f
}

// place has one file in the swarm.
func (h Services) place(ctx context.Context, s Service, node string, f ServedFile, all []object) (object, error) {
	name := objectName(s.Registry, f)
	same := func(o object) bool { return o.name == name && o.secret == f.Secret }
	if i := slices.IndexFunc(h.ours(all, node), same); i >= 0 {
		return h.ours(all, node)[i], nil
	}
	about := swarm.Annotations{Name: name, Labels: map[string]string{LabelRegistry: s.Registry, LabelDir: s.Dir, LabelNode: node}}
	o := object{name: name, labels: about.Labels, secret: f.Secret}
	var err error
	if f.Secret {
		var made swarm.SecretCreateResponse
		made, err = h.Docker.api.SecretCreate(ctx, swarm.SecretSpec{Annotations: about, Data: f.Data})
		o.id = made.ID
	} else {
		var made swarm.ConfigCreateResponse
		made, err = h.Docker.api.ConfigCreate(ctx, swarm.ConfigSpec{Annotations: about, Data: f.Data})
		o.id = made.ID
	}
	if errdefs.IsConflict(err) || errdefs.IsAlreadyExists(err) {
		err = &host.ForeignError{Ref: host.Ref{Kind: KindService, Path: s.Name}, What: "a " + o.String() + " of the swarm that regctl did not make for it"}
	}
	return o, err
}

// removeObjects removes ours, but those that a service names.
func (h Services) removeObjects(ctx context.Context, registry, node string, keep placed) error {
	all, err := h.objects(ctx, registry)
	if err != nil {
		return err
	}
	used := keep.names()
	for _, o := range h.ours(all, node) {
		if used[o.String()] {
			continue
		}
		if o.secret {
			err = h.Docker.api.SecretRemove(ctx, o.id)
		} else {
			err = h.Docker.api.ConfigRemove(ctx, o.id)
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	return nil
}

// names are of the form that object.String has.
func (p placed) names() map[string]bool {
	all := map[string]bool{}
	for _, c := range p.configs {
		all[object{name: c.ConfigName}.String()] = true
	}
	for _, s := range p.secrets {
		all[object{name: s.SecretName, secret: true}.String()] = true
	}
	return all
}

// placedIn are the references of a service that is there.
func placedIn(s swarm.ServiceSpec) placed {
	if c := s.TaskTemplate.ContainerSpec; c != nil {
		return placed{c.Configs, c.Secrets}
	}
	return placed{}
}

// stale names the files that a service gives its tasks otherwise than they are.
func stale(s Service, p placed, files []ServedFile) []string {
	has := map[string]string{} // target: name
	for _, c := range p.configs {
		if c.File != nil {
			has[c.File.Name] = object{name: c.ConfigName}.String()
		}
	}
	for _, c := range p.secrets {
		if c.File != nil {
			has[c.File.Name] = object{name: c.SecretName, secret: true}.String()
		}
	}
	var names []string
	for _, f := range files {
		f = served(f)
		target := path.Join(servedAt, f.Path)
		if has[target] != (object{name: objectName(s.Registry, f), secret: f.Secret}).String() {
			names = append(names, f.Path)
		}
		delete(has, target)
	}
	for target := range has {
		names = append(names, strings.TrimPrefix(target, servedAt+"/"))
	}
	slices.Sort(names)
	return names
}
