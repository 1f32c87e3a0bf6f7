package scenario

import (
	"context"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/step"
)

// nextCA makes the CA that is to follow, for the names that are wanted now.
type nextCA struct{ certificates }

func (n nextCA) Name() string      { return "next CA" }
func (n nextCA) Reads() []host.Ref { return []host.Ref{n.nextCert(), n.nextKey()} }

func (n nextCA) Plan(seen host.Facts) (step.Change, error) {
	crt, key := seen[n.nextCert()], seen[n.nextKey()]
	if !n.unfit(seen) {
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

// unfit reports whether there is no next CA that may sign for the names wanted.
func (n nextCA) unfit(seen host.Facts) bool {
	crt, key := seen[n.nextCert()].Data, seen[n.nextKey()].Data
	return pki.CheckCA(crt, key, n.place.Now) != nil || pki.CAFits(crt, n.spec.Hosts) != nil
}

// switchedCA puts the next CA in force, with a leaf of its own. That the old key may be
// lost or the old CA expired does not matter.
type switchedCA struct {
	certificates
	forget bool // no client trusts the old CA: it is not kept
}

func (s switchedCA) Name() string { return "switch to the next CA" }

func (s switchedCA) Reads() []host.Ref {
	return append(s.certificates.Reads(), s.nextCert(), s.nextKey(), s.oldCert())
}

func (s switchedCA) Plan(seen host.Facts) (step.Change, error) {
	caCert, caKey := seen[s.nextCert()].Data, seen[s.nextKey()].Data
	current := currentLink(s.place)
	make := func(context.Context) ([]host.Op, error) {
		if nextCA.unfit(nextCA{s.certificates}, seen) {
			var err error
			if caCert, caKey, err = pki.NewCA(s.config(s.spec.Hosts)); err != nil {
				return nil, err
			}
		}
		chain, key, err := pki.Issue(caCert, caKey, s.config(s.spec.Hosts))
		if err != nil {
			return nil, err
		}
		var ops []host.Op
		if !s.forget {
			ops = append(ops, writeOp(s.oldCert(), seen, ours(0o644, seen[s.caCert()].Data)))
		}
		ops = append(ops,
			writeOp(s.caKey(), seen, host.Fact{Exists: true, Data: caKey, Mode: 0o600, UID: ourUID(), GID: ourGID()}),
			writeOp(s.caCert(), seen, host.Fact{Exists: true, Data: caCert, Mode: 0o644, UID: ourUID(), GID: ourGID()}),
		)
		ops = append(ops, generation(s.place, seen, chain, key)...)
		return append(ops, s.withoutNext(seen)...), nil
	}
	return step.Change{Make: make, Items: []step.Item{
		{Target: s.caCert().Path, Action: host.Change, Diff: "(the next CA)"},
		{
			Target: current.Path, Action: action(seen[current]),
			Diff: fmt.Sprintf("(new %s key and leaf for %s)", s.spec.TLS.KeyType, strings.Join(s.spec.Hosts, ", ")),
		},
	}}, nil
}
