package cli

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// find opens the registry that the flags name, or the only one there is. It may
// not exist yet.
func (a *app) find() (*scenario.Registry, error) { return free(a.open(statedir.Find)) }

// findAny is find for commands that make nothing: what they find may also be a
// folder with something else in it, where there is no registry then.
func (a *app) findAny() (*scenario.Registry, error) { return a.open(statedir.Find) }

// findNew is find for init, which without a name makes the one called registry
// whatever others there are.
func (a *app) findNew() (*scenario.Registry, error) { return free(a.open(statedir.FindNew)) }

// free refuses a folder that holds something else.
func free(r *scenario.Registry, err error) (*scenario.Registry, error) {
	if err == nil {
		err = r.Foreign()
	}
	return r, err
}

type finder func(dirFlag, name string, env func(string) string, euid int) (statedir.Dir, error)

func (a *app) open(find finder) (*scenario.Registry, error) {
	dir, err := find(a.flag.dir, a.flag.name, a.getenv, os.Geteuid())
	if err != nil {
		return nil, err
	}
	return a.openDir(dir, a.flag.name)
}

func (a *app) openDir(dir statedir.Dir, name string) (*scenario.Registry, error) {
	r, err := scenario.Open(dir, name, a.getenv)
	if r != nil {
		r.Version = a.sys.Version
		r.Waiting = func(holder string) { a.ui.Say("waiting for %s", holder) }
		as := nodeDefaults()
		r.Nodes = a.nodes(&as, func(string) bool { return false }, secrets{})
	}
	return r, err
}

// findExisting is find for commands that need a registry to work on.
func (a *app) findExisting() (*scenario.Registry, error) {
	r, err := a.find()
	if err != nil {
		return nil, err
	}
	if !r.Exists() {
		return nil, r.Missing()
	}
	return r, nil
}

// applyOptions say how a plan is carried out.
type applyOptions struct {
	command string // as the lock's holder is called
	dryRun  bool
	retain  bool // leave what a failed run made
	skip    bool // leave clients behind that cannot be reached
}

// attend has r tell its progress and ask for what only people know.
func (a *app) attend(r *scenario.Registry) {
	r.Progress = func(what string) { a.ui.Say("%s", what) }
	r.Passphrase = func(ctx context.Context, path string, again bool) (secret.String, error) {
		if again {
			a.ui.Say("that does not open it")
		}
		return a.ui.Secret(ctx, "passphrase of "+path, scenario.UnlockHint(path))
	}
}

// apply plans what r needs and does it. It reports whether anything changed.
func (a *app) apply(ctx context.Context, r *scenario.Registry, o applyOptions) (changed bool, err error) {
	a.attend(r)
	if err := r.Connect(ctx); err != nil {
		return false, err
	}
	var planned step.Planned
	if o.dryRun || !r.Exists() {
		// Of a registry that is not there yet nothing is touched, not even its
		// folder, unless the plan is sound.
		planned, err = r.Plan(ctx)
		if err != nil && (o.dryRun || !r.Begun()) {
			return false, err
		}
		if o.dryRun {
			if planned, err = withClients(r, planned); err != nil {
				return false, err
			}
			return !planned.Empty(), a.showChanges(planned)
		}
		if err == nil && !r.NoStart {
			if err := r.CheckStorage(ctx); err != nil {
				return false, err
			}
		}
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, o.command); err != nil {
		return false, err
	}
	defer func() { err = firstError(err, r.Unlock()) }()
	if err != nil || !r.Untouched() {
		if planned, err = r.Plan(ctx); err != nil {
			return false, firstError(err, r.Abandon())
		}
	}
	if r.Exists() && !r.NoStart && !planned.Empty() {
		if err := r.CheckStorage(ctx); err != nil {
			return false, err
		}
	}
	if with, err := concernsClients(r); err != nil || with {
		if err != nil {
			return false, err
		}
		return a.cross(ctx, r, o)
	}
	if planned.Empty() {
		if err := r.Await(ctx); err == nil {
			return r.Finished(), nil
		}
		// It may have stopped only now, as a killed restart goes on in the engine.
		if planned, err = r.Plan(ctx); err != nil || planned.Empty() {
			return r.Finished(), firstError(err, r.Await(ctx))
		}
	}
	return true, r.Apply(ctx, planned, o.retain)
}

// settled does a command once more when another regctl has changed what it went
// by while it waited for the lock, or while it worked.
func settled(do func() error) error {
	err := do()
	if errors.Is(err, scenario.ErrChanged) {
		err = do()
	}
	return err
}

func firstError(errs ...error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}
