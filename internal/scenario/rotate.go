package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// MayRotate refuses a registry whose CA cannot be replaced by a new one of ours, and
// one that is about to get another address: its clients know it by the present one.
func (r *Registry) MayRotate() error {
	switch r.Spec.TLS.Mode {
	case spec.TLSSelfSigned:
	case spec.TLSFiles:
		return fault.Usage("name the new CA by tls.caCert in "+r.Dir.Spec()+", run regctl apply, and then regctl trust-clients",
			"%s has a certificate that you brought: its CA is not regctl's to replace", r.Spec.Endpoint())
	case spec.TLSNone:
		return r.needTLS()
	default:
		return fault.Usage("nothing is to be done", "%s has its certificate from a public CA", r.Spec.Endpoint())
	}
	path := r.Dir.Join("certs", "ca.crt")
	if _, err := inspectFile(path); err != nil {
		return fault.Fail("restore it from a backup: clients trust it until they trust another", "%s: %w", path, err)
	}
	leaf, err := r.Leaf()
	if err == nil && !slices.Contains(leaf.SANs(), r.Spec.First()) {
		return fault.Usage("leave the first of hosts in "+r.Dir.Spec()+" as it was until the CA has been replaced; names behind it may be added",
			"clients know the registry by another name than %s", r.Spec.First())
	}
	return nil
}

// nextCA makes the CA that is to follow, for the names that are wanted now.
type nextCA struct{ certificates }

func (n nextCA) Name() string      { return "next CA" }
func (n nextCA) Reads() []host.Ref { return []host.Ref{n.nextCert(), n.nextKey()} }

func (n nextCA) Plan(seen host.Facts) (step.Change, error) {
	crt, key := seen[n.nextCert()], seen[n.nextKey()]
	if pki.CheckCA(crt.Data, key.Data, n.place.Now) == nil && pki.CAFits(crt.Data, n.spec.Hosts) == nil {
		return step.Change{}, nil
	}
	make := func(context.Context) ([]host.Op, error) {
		caCert, caKey, err := pki.NewCA(n.config(n.spec.Hosts))
		if err != nil {
			return nil, err
		}
		return []host.Op{
			writeOp(n.nextKey(), seen, host.Fact{Exists: true, Data: caKey, Mode: 0o600, UID: ourUID(), GID: ourGID()}),
			writeOp(n.nextCert(), seen, host.Fact{Exists: true, Data: caCert, Mode: 0o644, UID: ourUID(), GID: ourGID()}),
		}, nil
	}
	return step.Change{Make: make, Items: []step.Item{
		{Target: n.nextKey().Path, Action: action(key), Diff: fmt.Sprintf("(new %s key)", n.spec.TLS.KeyType)},
		{Target: n.nextCert().Path, Action: action(crt), Diff: fmt.Sprintf("(new CA, %d days)", n.spec.TLS.CADays)},
	}}, nil
}

// switchedCA puts the next CA in force, with a leaf of its own. That the old key may be
// lost or the old CA expired does not matter.
type switchedCA struct{ certificates }

func (s switchedCA) Name() string { return "switch to the next CA" }

func (s switchedCA) Reads() []host.Ref {
	return append(s.certificates.Reads(), s.nextCert(), s.nextKey(), s.oldCert())
}

func (s switchedCA) Plan(seen host.Facts) (step.Change, error) {
	caCert, caKey := seen[s.nextCert()].Data, seen[s.nextKey()].Data
	current := currentLink(s.place)
	make := func(context.Context) ([]host.Op, error) {
		chain, key, err := pki.Issue(caCert, caKey, s.config(s.spec.Hosts))
		if err != nil {
			return nil, err
		}
		ops := []host.Op{
			writeOp(s.oldCert(), seen, host.Fact{Exists: true, Data: seen[s.caCert()].Data, Mode: 0o644, UID: ourUID(), GID: ourGID()}),
			writeOp(s.caKey(), seen, host.Fact{Exists: true, Data: caKey, Mode: 0o600, UID: ourUID(), GID: ourGID()}),
			writeOp(s.caCert(), seen, host.Fact{Exists: true, Data: caCert, Mode: 0o644, UID: ourUID(), GID: ourGID()}),
		}
		ops = append(ops, generation(s.place, seen, chain, key)...)
		return append(ops, removeOp(host.File, s.nextKey().Path), removeOp(host.File, s.nextCert().Path)), nil
	}
	return step.Change{Make: make, Items: []step.Item{
		{Target: s.caCert().Path, Action: host.Change, Diff: "(the next CA)"},
		{
			Target: current.Path, Action: action(seen[current]),
			Diff: fmt.Sprintf("(new %s key and leaf for %s)", s.spec.TLS.KeyType, strings.Join(s.spec.Hosts, ", ")),
		},
	}}, nil
}

// PrepareCA makes the next CA, unless an earlier run has.
func (r *Registry) PrepareCA(ctx context.Context) error {
	planned, err := step.Plan(ctx, r.site.host, []step.Step{nextCA{certificates{r.Spec, r.placeNow()}}})
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, &statedir.Rotation{Phase: statedir.Spreading, Since: time.Now().UTC().Truncate(time.Second)})
}

// PlanSwitch plans to put the next CA in force on a registry that runs on.
func (r *Registry) PlanSwitch(ctx context.Context) (step.Planned, error) {
	return r.planLeaf(ctx, func(p Place) step.Step { return switchedCA{certificates{r.Spec, p}} })
}

// SwitchCA carries it out; skipped are the hosts that are left behind. When the endpoint
// does not come to serve the new leaf, all is put back.
func (r *Registry) SwitchCA(ctx context.Context, planned step.Planned, skipped []string) error {
	return r.rotate(ctx, planned, &statedir.Rotation{Phase: statedir.Withdrawing, Since: r.since(), Skipped: skipped})
}

// DropCA ends a rotation: nothing of the old CA stays.
func (r *Registry) DropCA(ctx context.Context) error {
	old := certificates{r.Spec, r.placeNow()}.oldCert()
	planned, err := step.Plan(ctx, r.site.host, []step.Step{step.RemoveFile{Path: old.Path}})
	if err != nil {
		return err
	}
	return r.rotate(ctx, planned, nil)
}

func (r *Registry) since() time.Time {
	if r.state.Rotation == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return r.state.Rotation.Since
}

// rotate carries a phase out and notes that it has come to now.
func (r *Registry) rotate(ctx context.Context, planned step.Planned, now *statedir.Rotation) error {
	before := r.state
	r.state.Rotation = now
	if planned.Empty() {
		return statedir.Save(r.Dir, r.state)
	}
	return r.carryOut(ctx, planned, before, false)
}

func (r *Registry) placeNow() Place {
	p := r.site.place
	p.Now, p.Say = time.Now(), r.Progress
	return p
}

// Provable reports whether clients can prove their trust at all: not where the
// certificate in service is of no use any more, which only the switch mends. A registry
// that is stopped is an error.
func (r *Registry) Provable(ctx context.Context) (bool, error) {
	if r.answers(ctx) {
		return true, nil
	}
	if _, err := ownEndpoint(r.Spec).Chain(ctx); err != nil {
		return false, fault.Fail("regctl start starts it", "%s does not answer, so that no client can prove its trust", r.Spec.Endpoint())
	}
	return false, nil
}
