package scenario

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// turnOnTime is how long a running registry may take to ask for passwords.
const turnOnTime = 5 * time.Second

// Users is the file of users as it is; an empty one where there is none.
func (r *Registry) Users() (*htpasswd.File, error) {
	data, err := readFile(r.Dir.Htpasswd())
	if err != nil {
		return nil, host.Failed("read", r.Dir.Htpasswd(), err)
	}
	return htpasswd.Parse(data), nil
}

// LockForUsers is Lock for a change of users, which needs no runtime unless another
// command was killed: what that one left half done is finished first.
func (r *Registry) LockForUsers(ctx context.Context, timeout time.Duration, command string) error {
	if _, err := os.Stat(r.Dir.Journal()); err == nil || r.Spec.Swarmed() {
		if err := r.Connect(ctx); err != nil {
			return err
		}
	}
	if err := r.Lock(ctx, timeout, command); err != nil || !r.Spec.Swarmed() {
		return err
	}
	if err := r.follow(ctx); err != nil {
		return errors.Join(err, r.Unlock())
	}
	return nil
}

// HasUsers reports whether htpasswd decides who may come in. Where something in
// config: does, which users there are is not ours to say, and that is a fault.
func (r *Registry) HasUsers() (bool, error) {
	if r.Spec.Config["auth"] != nil {
		return false, fault.Usage("remove auth from config: there, and set auth: {mode: htpasswd}", "%s: config.auth says who may come in", r.Dir.Spec())
	}
	if r.Spec.Auth.Foreign() {
		return false, fault.Usage("add and remove users there", "who may come in is for the token server %s to say", r.Spec.Auth.TokenRealm)
	}
	return r.Spec.Auth.HasUsers(), nil
}

// SetUsers makes f the file of users that Plan counts on.
func (r *Registry) SetUsers(f *htpasswd.File) {
	if r.users = f.Bytes(); r.users == nil {
		r.users = []byte{}
	}
}

// AskForPasswords makes it wanted that users must log in. allowPlaintext has them do
// so over plain HTTP too.
func (r *Registry) AskForPasswords(allowPlaintext bool) error {
	want := r.Spec
	want.Auth.Mode = spec.AuthHtpasswd
	want.Auth.AllowPlaintext = want.Auth.AllowPlaintext || allowPlaintext
	data, err := spec.Edit(r.file, r.Spec, want)
	if err != nil {
		return err
	}
	return r.WantFile(want, data)
}

// Rests reports whether a change of users leaves the registry running: a stock image
// reads whether to ask for passwords at all only when it starts.
func (r *Registry) Rests() bool { return r.Spec.Image == "" || r.write == nil }

// Grace keeps a user's old password good until some time beside the new one.
type Grace struct {
	User, Hash string
	Until      time.Time
}

// CanGrace refuses where two passwords of one user cannot be good.
func (r *Registry) CanGrace() error {
	switch {
	case r.Spec.ProxyAsks():
		return fault.Usage("leave --grace out, or have the registry ask: authAt: registry", "--grace: %s asks for the password, and knows one a user", r.Spec.Proxy.Kind)
	case r.Spec.Image == "":
		return nil
	}
	return fault.Usage("leave --grace out", "--grace: the stock image %s knows one password a user", r.Spec.Image)
}

// PlanUsers plans to make what SetUsers and AskForPasswords said so, and nothing else:
// no runtime is asked. What of grace is left of the users named in ends goes.
func (r *Registry) PlanUsers(ctx context.Context, keep *Grace, ends ...string) (step.Planned, error) {
	p := processPlace(r, r.Spec)
	machine := host.NewLocal(nil)
	var following []step.Step
	switch r.Spec.Runtime {
	case spec.RuntimeDocker:
		p = dockerPlace(r.Dir, r.Spec)
	case spec.RuntimeSwarm:
		var err error
		if following, err = r.followers(ctx); err != nil {
			return step.Planned{}, err
		}
		p, machine = swarmPlace(r.Dir, r.Spec), r.site.host
	}
	p.UID, p.GID, p.SpecYAML, p.Users = r.state.UID, r.state.GID, r.write, r.users
	if err := r.findFrontFor(ctx, &p); err != nil {
		return step.Planned{}, err
	}
	extra := []step.Step{extraStep{spec: r.Spec, place: p, change: func(all []grace) []grace {
		all = slices.DeleteFunc(all, func(g grace) bool { return slices.Contains(ends, g.User) })
		if keep != nil {
			all = append(all, grace{keep.User, keep.Hash, keep.Until.UTC().Truncate(time.Second)})
		}
		return all
	}}}
	if p.Flavour != distconfig.Embedded || r.Spec.Image != "" {
		extra = nil
	}
	steps := join(specFile(p), accounts(r.Spec, p), extra, usersAtProxy(r.Spec, p))
	if keep != nil { // the old hash is in one of the files at any time
		steps = join(specFile(p), extra, accounts(r.Spec, p))
	}
	return step.Plan(ctx, machine, append(steps, following...))
}

// ChangeUsers carries out what PlanUsers planned, under the lock. It is done when a
// registry that runs asks for passwords.
func (r *Registry) ChangeUsers(ctx context.Context, planned step.Planned) error {
	if _, err := step.Run(ctx, planned.Host, planned, &statedir.Journal{Dir: r.Dir, State: &r.state}); err != nil {
		return err
	}
	if r.write == nil {
		return nil
	}
	return r.asksSoon(ctx)
}

// lookTime is a little more than the embedded registry takes to see a change of its
// files.
const lookTime = 300 * time.Millisecond

// Taken waits until a registry that runs must have seen that a password is good no
// more: what it remembers it holds against its files at most every 250 ms.
func (r *Registry) Taken(ctx context.Context) error {
	select {
	case <-time.After(lookTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asksSoon waits until the registry asks for passwords; one that does not answer will
// when it starts.
func (r *Registry) asksSoon(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, turnOnTime)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		_, asks, err := r.endpoint(ctx).Admits(limited, "", secret.String{})
		if asks || err != nil && limited.Err() == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.Fail("regctl restart has it read its files anew", "%s still asks nobody for a password", r.Spec.Endpoint())
		}
	}
}
