package scenario

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Registry is one registry on this machine: what is wanted of it, what was
// applied, and, once connected, the means to change it.
type Registry struct {
	Dir     statedir.Dir
	Spec    spec.Spec // what is wanted; of a registry that does not exist yet, the defaults
	NoStart bool      // write everything, run nothing
	Version string    // of this program
	// Progress, when set, is told of each thing before it is done.
	Progress func(string)
	// Waiting, when set, is told who holds the lock that a command waits for.
	Waiting func(holder string)
	// Passphrase, when set, asks for that of the key at path; again after a wrong one.
	Passphrase func(ctx context.Context, path string, again bool) (secret.String, error)
	// Nodes logs in to the nodes of a swarm.
	Nodes NodeAccess

	getenv func(string) string
	exists bool
	// garbled is a regctl.yaml that cannot be read, which Open has said.
	garbled bool
	// foreign is why nothing can be made in Dir, which holds something else.
	foreign error
	file    []byte // regctl.yaml as read
	write   []byte // regctl.yaml as it should become; nil leaves it
	users   []byte // the file of users as it should become; nil leaves it
	// storageSecrets is secrets/storage as it should become; nil leaves it.
	storageSecrets []byte
	httpSecret     secret.String
	state          statedir.State
	lock           *statedir.Lock
	site           *site
	aside          bool // the proxy is left aside
	upgrading      bool // this executable is to take over
	overtaken      bool // a command that was killed has changed regctl.yaml since Open
	finished       bool // what a killed command left was finished under this lock
	learnt         learnt
	restoring      *Archived // what it is to become; nil of others
	// keptOnNodes is what could not be taken away from nodes.
	keptOnNodes []string
}

// Open reads what there is in dir. An absent or empty folder is a registry that
// does not exist yet, to be called name; so is one that holds something else, in
// which none can be made: see Foreign. A name that is not its own is refused.
func Open(dir statedir.Dir, name string, getenv func(string) string) (*Registry, error) {
	r := &Registry{Dir: dir, getenv: getenv, Spec: spec.Default()}
	if name != "" {
		r.Spec.Name = name
	}
	class, err := statedir.Classify(dir)
	if err != nil {
		return nil, err
	}
	switch class.Kind {
	case statedir.Foreign:
		r.foreign = statedir.ForeignFault(dir, class)
		return r, nil
	case statedir.Absent, statedir.Empty:
		return r, nil
	}
	if r.state, err = statedir.LoadState(dir); err != nil {
		return nil, err
	}
	if r.file, err = readFile(dir.Spec()); err != nil {
		return nil, err
	}
	if r.file != nil {
		r.exists = true
		if r.Spec, err = spec.Parse(dir.Spec(), r.file); err != nil {
			r.garbled = true
			return r, err
		}
	} else {
		r.Spec.Name = cmp.Or(r.state.Name, r.Spec.Name)
	}
	return r, r.same(name)
}

// WithoutSpec has a registry whose regctl.yaml cannot be read be taken for one whose
// regctl.yaml is gone: what was made is in the record. It reports whether it is one.
// name is as for Open.
func (r *Registry) WithoutSpec(name string) (bool, error) {
	if r == nil || !r.garbled || r.state.Phase == "" {
		return false, nil
	}
	r.exists, r.Spec = false, spec.Default()
	r.Spec.Name = cmp.Or(r.state.Name, r.Spec.Name)
	return true, r.same(name)
}

// same refuses to take the registry for another one: name, if given, must be its
// own, and what regctl.yaml says it is must be what was made.
func (r *Registry) same(name string) error {
	switch was := r.state; {
	case name != "" && name != r.Spec.Name:
		return fault.Usage("leave --name out, or choose another --dir", "%s holds the registry %s, not %s", r.Dir, r.Spec.Name, name)
	case was.Name != "" && was.Name != r.Spec.Name:
		return fault.Usage(fmt.Sprintf("set name: %s; regctl init --name %s makes another registry", was.Name, r.Spec.Name),
			"%s: name: a registry keeps its name, which is %s", r.Dir.Spec(), was.Name)
	case r.exists && was.Runtime != "" && r.Spec.Runtime != "" && was.Runtime != r.Spec.Runtime:
		return fault.Usage(fmt.Sprintf("set runtime: %s; or regctl destroy --keep-data with that, and then regctl init --runtime %s", was.Runtime, r.Spec.Runtime),
			"%s: runtime: a registry keeps its runtime, which is %s", r.Dir.Spec(), was.Runtime)
	}
	return nil
}

// Foreign tells why no registry can be made in Dir; nil where one can, or is.
func (r *Registry) Foreign() error { return r.foreign }

// Missing is the fault of a command that needs a registry where there is none,
// or only part of one.
func (r *Registry) Missing() error {
	switch r.state.Phase {
	case statedir.PhaseReady:
		return fault.Usage("restore it from a backup; regctl init writes a new one, regctl destroy removes the registry", "%s is missing", r.Dir.Spec())
	case statedir.PhaseCreating:
		return fault.Usage("regctl init finishes it, regctl destroy clears it away", "the registry in %s was never finished", r.Dir)
	case statedir.PhaseKept:
		return fault.Usage("regctl init serves them again", "of the registry in %s only the images are there", r.Dir)
	}
	return fault.Usage("regctl init creates one; --name or --dir names another", "there is no registry in %s", r.Dir)
}

// readFile gives nil for a file that is not there.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Exists reports whether there is a regctl.yaml to go by.
func (r *Registry) Exists() bool { return r.exists }

// Name is what the registry is called.
func (r *Registry) Name() string { return r.Spec.Name }

// Want makes s what is wanted of a registry that does not exist yet.
func (r *Registry) Want(s spec.Spec) error {
	data, err := spec.Marshal(s)
	if err != nil {
		return err
	}
	return r.WantFile(s, data)
}

// WantFile makes a whole regctl.yaml, already parsed as s, what is wanted.
func (r *Registry) WantFile(s spec.Spec, data []byte) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if r.exists && r.Spec.Name != s.Name {
		return fault.Usage("a registry keeps its name; regctl init --name makes another", "name: %s -> %s", r.Spec.Name, s.Name)
	}
	r.Spec = s
	if !bytes.Equal(data, r.file) {
		r.write = data
	}
	return r.same("")
}

// PickRuntime settles --runtime auto: docker where it is configured or
// installed, whether it answers or not, else process.
func (r *Registry) PickRuntime() string {
	if engine.DockerAvailable(r.getenv) {
		return spec.RuntimeDocker
	}
	return spec.RuntimeProcess
}

// Connect opens the runtime and finds out what the steps must know of the
// machine. It changes nothing.
func (r *Registry) Connect(ctx context.Context) (err error) {
	if err := r.Spec.Validate(); err != nil {
		return err
	}
	r.site, err = openSite(ctx, r)
	return err
}

// Plan compares the machine with what is wanted.
func (r *Registry) Plan(ctx context.Context) (step.Planned, error) {
	if r.overtaken {
		return step.Planned{}, fault.Fail("run the same command again", "%s: %w", r.Dir.Spec(), ErrChanged)
	}
	if !r.NoStart {
		if err := r.site.preflight(ctx); err != nil {
			return step.Planned{}, err
		}
	}
	return r.unlocking(ctx, func() (step.Planned, error) {
		p := r.site.place
		p.SpecYAML, p.Say, p.Users, p.StorageSecrets, p.Learnt = r.write, r.Progress, r.users, r.storageSecrets, &r.learnt
		p.HTTPSecret = r.httpSecret
		if r.state.TLS == spec.TLSSelfSigned {
			var err error
			if p.Trusting, err = statedir.MayTrust(r.Dir); err != nil {
				return step.Planned{}, err
			}
		}
		if err := r.succession(&p); err != nil {
			return step.Planned{}, err
		}
		if r.NoStart {
			p.Runtime, p.Last = nil, nil
		}
		planned, err := step.Plan(ctx, r.site.host, Steps(r.Spec, p))
		if err != nil {
			return planned, err
		}
		if planned, err = r.planUnheeded(ctx, planned); err != nil {
			return planned, err
		}
		return planned, r.checkIssuer(ctx, planned)
	})
}

// SetHTTPSecret makes the secret that a registry which is made now is to have.
func (r *Registry) SetHTTPSecret(s secret.String) { r.httpSecret = s }

// HTTPSecret is the one that the registry has, or is to have; empty before init.
func (r *Registry) HTTPSecret() (secret.String, error) {
	data, err := readFile(r.Dir.Join("secrets", "http"))
	if err != nil || data == nil {
		return r.httpSecret, err
	}
	return secret.New(strings.TrimSpace(string(data))), nil
}

// RenderConfig gives config.yml for s as the registry would get it. It needs
// neither a registry nor a runtime that answers.
func (r *Registry) RenderConfig(s spec.Spec) ([]byte, error) {
	if len(s.Hosts) == 0 {
		s.Hosts = []string{"localhost"}
	}
	if s.Runtime == "" {
		s.Runtime = r.PickRuntime()
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	http, err := r.HTTPSecret()
	if err != nil {
		return nil, err
	}
	if http.Empty() {
		http = secret.New("made by init")
	}
	place := processPlace(r, s)
	if s.Runtime != spec.RuntimeProcess {
		place = dockerPlace(r.Dir, s)
		place.Flavour = flavourOf(s.Image)
	}
	if place.RedisPassword, err = r.knownRedisPassword(s); err != nil {
		return nil, err
	}
	secrets, err := r.secretsFor(s)
	if err != nil {
		return nil, err
	}
	return Render(s, place, renderSecrets{http: http.Reveal(), mirror: r.shownMirrorPassword(s), storage: secrets})
}

// Logs copies what the registry logged to w: the last tail lines (all when
// negative), and with follow what comes until ctx is done.
func (r *Registry) Logs(ctx context.Context, follow bool, tail int, w io.Writer) error {
	return r.site.runtime.Logs(ctx, follow, tail, w)
}
