package scenario

import (
	"bytes"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// vouching is by what clients take a registry for the one that it says it is.
type vouching int

const (
	byNothing  vouching = iota // plain HTTP
	byPublicCA                 // which they trust already
	byOwnCA                    // certs/ca.crt, which they are given
)

// wanted is how regctl.yaml wants it, applied how it was made.
func (r *Registry) wanted() vouching {
	switch {
	case r.Spec.TLS.Mode == spec.TLSNone:
		return byNothing
	case r.PublicCA():
		return byPublicCA
	}
	return byOwnCA
}

func (r *Registry) applied() vouching {
	switch {
	case r.state.TLS == spec.TLSNone:
		return byNothing
	case r.state.PublicCA:
		return byPublicCA
	}
	return byOwnCA
}

// unforced reports whether clients trust no CA in certs: one that is there was in force
// before, or is to be.
func (r *Registry) unforced() bool { return r.state.TLS != "" && r.applied() != byOwnCA }

// succeeds reports whether another CA of its own is to take the place of the one that
// clients trust.
func (r *Registry) succeeds(trusted bool) (bool, error) {
	if r.state.TLS == "" || r.applied() != byOwnCA || r.wanted() != byOwnCA {
		return false, nil
	}
	now, err := readFile(r.Dir.Join("certs", "ca.crt"))
	if err != nil || now == nil {
		return false, err
	}
	if r.Spec.TLS.Mode != spec.TLSSelfSigned {
		want, err := readFile(r.Spec.TLS.CACert)
		return want != nil && !bytes.Equal(now, want), err
	}
	key, err := readFile(r.Dir.Join("certs", "ca.key"))
	if err != nil {
		return false, host.Failed("read", r.Dir.Join("certs", "ca.key"), err)
	}
	usable := pki.CheckCA(now, key, time.Now()) == nil
	if r.state.TLS != spec.TLSSelfSigned {
		return !usable, nil
	}
	return usable && trusted && pki.CAFits(now, r.Spec.Hosts) != nil, nil
}

// succession tells p what becomes of the CA that is in force.
func (r *Registry) succession(p *Place) error {
	hosts, err := statedir.Followers(r.Dir)
	if err != nil {
		return err
	}
	p.Unforced = r.unforced()
	if p.Succeeds, err = r.succeeds(len(hosts) > 0); err != nil {
		return err
	}
	leaves := r.state.TLS != "" && r.applied() == byOwnCA && r.wanted() == byPublicCA
	p.KeepOld = len(hosts) > 0 && (p.Succeeds || leaves)
	return nil
}

// formerCA clears the way for a CA that the operator brings, or for none: the one in
// force is kept for as long as clients trust it, and a key of ours belongs to no CA any
// more once there is another.
type formerCA struct {
	spec  spec.Spec
	place Place
}

func (f formerCA) Name() string { return "former CA" }

func (f formerCA) certificates() certificates { return certificates(f) }

func (f formerCA) Reads() []host.Ref {
	c := f.certificates()
	return []host.Ref{c.caCert(), c.caKey(), c.oldCert(), c.nextCert(), c.nextKey()}
}

func (f formerCA) Plan(seen host.Facts) (step.Change, error) {
	c := f.certificates()
	var change step.Change
	if was, old := seen[c.caCert()], seen[c.oldCert()]; f.place.KeepOld && was.Exists && !bytes.Equal(was.Data, old.Data) {
		change.Ops = append(change.Ops, writeOp(c.oldCert(), seen, ours(0o644, was.Data)))
		change.Items = append(change.Items, step.Item{Target: c.oldCert().Path, Action: action(old), Diff: "(the CA in force, which clients trust until they have followed)"})
	}
	change.Ops = append(change.Ops, c.withoutNext(seen)...)
	if f.spec.TLS.CACert != "" && seen[c.caKey()].Exists {
		change.Ops = append(change.Ops, removeOp(host.File, c.caKey().Path))
		change.Items = append(change.Items, step.Item{Target: c.caKey().Path, Action: host.Remove, Diff: "(of the former CA)"})
	}
	return change, nil
}

// withoutNext takes away what there is of a next CA.
func (c certificates) withoutNext(seen host.Facts) (ops []host.Op) {
	for _, ref := range []host.Ref{c.nextKey(), c.nextCert()} {
		if seen[ref].Exists {
			ops = append(ops, removeOp(host.File, ref.Path))
		}
	}
	return ops
}

// broughtCA puts the operator's own CA where clients are given it from: in force where
// there is none, or beside the one that is.
type broughtCA struct {
	certificates
	beside bool
}

func (b broughtCA) Name() string { return "CA" }

func (b broughtCA) source() host.Ref { return sourceRef(b.spec.TLS.CACert) }

func (b broughtCA) Reads() []host.Ref {
	return []host.Ref{b.source(), b.caCert(), b.caKey(), b.nextCert(), b.nextKey()}
}

func (b broughtCA) Plan(seen host.Facts) (step.Change, error) {
	cert, key := b.caCert(), b.caKey()
	if b.beside {
		cert, key = b.nextCert(), b.nextKey()
	}
	ca := seen[b.source()]
	if err := brought("--ca-cert", b.spec.TLS.CACert, ca); err != nil {
		return step.Change{}, err
	}
	var change step.Change
	if seen[key].Exists {
		change.Ops = append(change.Ops, removeOp(host.File, key.Path))
	}
	if was := seen[cert]; !bytes.Equal(was.Data, ca.Data) {
		change.Ops = append(change.Ops, writeOp(cert, seen, ours(0o644, ca.Data)))
		change.Items = append(change.Items, step.Item{Target: cert.Path, Action: action(was), Diff: "(from " + b.spec.TLS.CACert + ")"})
	}
	return change, nil
}
