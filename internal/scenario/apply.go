package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// undoTime is how long putting things back may take after an interrupt.
const undoTime = time.Minute

// undoTime is that of a whole registry: a swarm puts back one task after the other.
func (r *Registry) undoTime() time.Duration {
	if r.Spec.Swarmed() {
		return undoTime * time.Duration(1+r.Spec.Count())
	}
	return undoTime
}

// ErrChanged reports that another command changed regctl.yaml, or what the plan
// counted on, while this one waited or worked: what was planned no longer holds,
// and the same command may be run again.
var ErrChanged = errors.New("changed while we waited")

// Lock makes the registry's folder if there is none and holds it for this
// command, waiting up to timeout for another. What a killed command left half
// done is finished first.
func (r *Registry) Lock(ctx context.Context, timeout time.Duration, command string) error {
	told := r.tellWait()
	lock, err := statedir.Claim(ctx, r.Dir, r.Spec.Name, timeout, command)
	told()
	if err != nil {
		return err
	}
	r.lock = lock
	if err := r.refresh(ctx); err != nil {
		return errors.Join(err, r.Unlock())
	}
	return nil
}

// waitUntold is how long a lock is waited for in silence.
const waitUntold = time.Second

// tellWait has it told for what a command waits that has to wait for the lock, until
// the function that it returns is called.
func (r *Registry) tellWait() (stop func() bool) {
	if r.Waiting == nil {
		return func() bool { return false }
	}
	return time.AfterFunc(waitUntold, func() {
		if holder := statedir.HeldBy(r.Dir); holder != "" {
			r.Waiting(holder)
		}
	}).Stop
}

// Finished reports whether Lock found, and finished, what a killed command left.
func (r *Registry) Finished() bool { return r.finished }

// Unlock lets the next command go on.
func (r *Registry) Unlock() error { return r.lock.Release() }

// refresh reads anew, under the lock, what may have changed since Open.
func (r *Registry) refresh(ctx context.Context) error {
	now, err := readFile(r.Dir.Spec())
	if err != nil {
		return err
	}
	if !bytes.Equal(now, r.file) {
		return fault.Fail("run the same command again", "%s: %w", r.Dir.Spec(), ErrChanged)
	}
	if err := clearReadonly(r.Dir); err != nil {
		return err
	}
	if r.site != nil {
		r.watch()
		if r.Unfinished() && r.Progress != nil {
			r.Progress("finishing what a killed command left")
		}
		left, err := statedir.Recover(ctx, r.Dir, r.site.host)
		if err != nil {
			return err
		}
		r.finished = r.finished || len(left) > 0
		if now, err = readFile(r.Dir.Spec()); err != nil {
			return err
		}
		r.overtaken = !bytes.Equal(now, r.file) && !bytes.Equal(now, r.write)
	}
	r.state, err = statedir.LoadState(r.Dir)
	return err
}

// Begun reports that another command has begun to make the registry since Open, or
// once did: what stands in the way may be its work.
func (r *Registry) Begun() bool {
	_, err := os.Stat(r.Dir.State())
	return err == nil
}

// Untouched reports, under the lock, that nothing was ever made for the registry,
// so that a plan made before it was locked still holds.
func (r *Registry) Untouched() bool {
	return !r.exists && r.state.Phase == statedir.PhaseCreating && len(r.state.Receipts) == 0
}

// Apply carries a plan out. When it fails, what it did is put back, a folder made
// for it included, unless retain is set.
func (r *Registry) Apply(ctx context.Context, planned step.Planned, retain bool) error {
	before := r.state
	r.state.Phase = statedir.PhaseReady
	r.state.Name, r.state.Runtime = r.Spec.Name, r.Spec.Runtime
	r.state.TLS, r.state.PublicCA, r.state.Address = r.forState()
	r.state.UID, r.state.GID = r.site.place.UID, r.site.place.GID
	r.state.Image, r.state.Engine = r.site.image, r.site.engine
	if r.site.own && r.state.SchemaVersion != 1 { // which has no room for it
		r.state.Program = r.Version
	}
	if err := r.carryOut(ctx, planned, before, retain); err != nil || waits(planned) {
		return err
	}
	if touches(planned, r.Dir.ServeExtra()) && !r.NoStart {
		if err := r.Taken(ctx); err != nil { // who may come in is as wanted when the command ends
			return err
		}
	}
	// The command that started it may have been killed before it answered.
	return r.Await(ctx)
}

// carryOut runs a plan. When it fails, what it did is put back, and the state
// becomes before again, unless retain is set.
func (r *Registry) carryOut(ctx context.Context, planned step.Planned, before statedir.State, retain bool) error {
	r.watch()
	journal := &statedir.Journal{Dir: r.Dir, State: &r.state}
	receipts, err := step.Run(ctx, r.site.host, planned, journal)
	if errors.Is(err, engine.ErrImageGone) {
		err = planGone{err}
	}
	if err == nil || retain && len(receipts) > 0 {
		return err
	}
	if r.Progress != nil && len(receipts) > 0 {
		r.Progress("putting back what was changed")
	}
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.undoTime())
	defer cancel()
	if undo := step.Undo(patient, r.site.host, r.withLogs(receipts)); undo != nil {
		return errors.Join(err, fault.Fail("regctl destroy removes the rest", "putting things back: %w", undo))
	}
	before.Batch = r.state.Batch
	r.state = before
	return errors.Join(err, r.keepOrder(patient), r.noteImages(patient, receipts), r.forget())
}

// withLogs has the folder of logs, where receipts made it, go with what the registry
// wrote there meanwhile.
func (r *Registry) withLogs(receipts []host.Receipt) []host.Receipt {
	all := slices.Clone(receipts)
	for i, receipt := range all {
		if receipt.Kind == host.Dir && receipt.Path == r.Dir.Logs() && !receipt.Before.Exists {
			all[i].Kind = kindTree
		}
	}
	return all
}

// waits reports whether a plan waits for the registry by itself: it says so, or it
// starts a process, which is not done before that one serves.
func waits(planned step.Planned) bool {
	kinds := []host.Kind{engine.KindReady, engine.KindRolled, engine.KindProcess, engine.KindUnit}
	return slices.ContainsFunc(planned.Changes, func(c step.Named) bool {
		return slices.ContainsFunc(c.Ops, func(op host.Op) bool { return slices.Contains(kinds, op.Kind) })
	})
}

// planGone is an ErrChanged that says what changed in its own words.
type planGone struct{ error }

func (p planGone) Unwrap() []error { return []error{p.error, ErrChanged} }

// WriteSpec puts regctl.yaml in place, the file of users where that is not nil, and
// secrets/storage where that was set, and does nothing else.
func (r *Registry) WriteSpec(ctx context.Context, yaml, users []byte) error {
	p := Place{Dir: r.Dir, SpecYAML: yaml, UID: ourUID(), GID: ourGID(), Users: users, StorageSecrets: r.storageSecrets}
	steps := join(specFile(p), keptSecrets(p))
	if users != nil {
		steps = append(steps, serveDir(p, r.Dir.Serve()), usersFile{p})
	}
	planned, err := step.Plan(ctx, host.NewLocal(nil), steps)
	if err != nil {
		return err
	}
	_, err = step.Run(ctx, planned.Host, planned, &statedir.Journal{Dir: r.Dir, State: &r.state})
	return err
}

// forget writes down the state as it is again after an undo; of a registry that
// never was, nothing stays.
func (r *Registry) forget() error {
	if r.state.Phase == statedir.PhaseCreating && len(r.state.Receipts) == 0 {
		if err := r.removeStray(); err != nil {
			return err
		}
		_, err := statedir.Erase(r.Dir, r.lock)
		return err
	}
	return statedir.Save(r.Dir, r.state)
}

// Abandon gives up before anything was done: a folder made for the registry goes
// again.
func (r *Registry) Abandon() error {
	if r.Untouched() {
		return r.forget()
	}
	return nil
}

// watch tells Progress what the host is doing, in words.
func (r *Registry) watch() {
	if r.Progress == nil {
		return
	}
	r.site.host.Progress = func(op host.Op) {
		switch op.Kind {
		case host.File, host.Dir, host.Link, engine.KindServed:
			return // quick, and named by plan for those who ask
		}
		if op.Kind == engine.KindService && op.Action == host.Restart { // what it costs is said before
			r.Progress(r.updating(op))
			return
		}
		what := r.site.describe(op)
		if op.Kind == engine.KindImage && op.Action == host.Remove {
			what += ", " + unlessUsed
		}
		r.Progress(fmt.Sprintf("%s %s", progressVerb[op.Action], what))
	}
}

var progressVerb = map[host.Action]string{
	host.Create: "making", host.Change: "changing", host.Remove: "removing",
	host.Start: "starting", host.Stop: "stopping", host.Restart: "restarting", host.Wait: "waiting for",
}
