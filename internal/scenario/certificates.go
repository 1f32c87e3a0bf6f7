package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// certificates keeps a private CA and a leaf for exactly the registry's names.
// Keys are made once, when the step is carried out; a leaf that is wrong or in
// the last third of its life is issued anew under the same CA.
type certificates struct {
	spec  spec.Spec
	place Place
}

func (c certificates) Name() string { return "certificates" }

func (c certificates) caCert() host.Ref { return fileRef(c.place.Dir.Join("certs", "ca.crt")) }
func (c certificates) caKey() host.Ref  { return fileRef(c.place.Dir.Join("certs", "ca.key")) }

func (c certificates) Reads() []host.Ref {
	return append([]host.Ref{c.caCert(), c.caKey()}, currentPair(c.place)...)
}

func (c certificates) Plan(seen host.Facts) (step.Change, error) {
	newCA, err := c.needCA(seen)
	if err != nil {
		return step.Change{}, err
	}
	if newCA && seen[c.caCert()].Exists && len(c.place.Trusting) > 0 {
		return step.Change{}, c.replaceable(seen)
	}
	why := c.needLeaf(seen)
	if !newCA && why == "" {
		return step.Change{}, nil
	}
	var items []step.Item
	if newCA {
		items = append(items,
			step.Item{Target: c.caCert().Path, Action: action(seen[c.caCert()]), Diff: fmt.Sprintf("(new CA, %d days)", c.spec.TLS.CADays)},
			step.Item{Target: c.caKey().Path, Action: action(seen[c.caKey()]), Diff: fmt.Sprintf("(new %s key)", c.spec.TLS.KeyType)})
		why = "a new CA"
	}
	current := currentLink(c.place)
	items = append(items, step.Item{
		Target: current.Path, Action: action(seen[current]),
		Diff: fmt.Sprintf("(new %s key and leaf for %s, %d days: %s)",
			c.spec.TLS.KeyType, strings.Join(c.spec.Hosts, ", "), c.spec.TLS.CertDays, why),
	})
	make := func(context.Context) ([]host.Op, error) { return c.issue(seen, newCA, c.spec.Hosts) }
	return step.Change{Items: items, Make: make}, nil
}

// replaceable refuses to replace a CA under clients that trust it.
func (c certificates) replaceable(seen host.Facts) error {
	why := pki.CAFits(seen[c.caCert()].Data, c.spec.Hosts)
	if why == nil {
		why = errors.New("the CA has expired")
	}
	return fault.Fail("regctl cert rotate-ca makes a new CA and has them trust it first; then run the same command again",
		"%w, and %d of your hosts trust it", why, len(c.place.Trusting))
}

// needCA reports whether a CA has to be made: there is none yet, or the one
// there may not sign for a name that is wanted now.
func (c certificates) needCA(seen host.Facts) (bool, error) {
	crt, key := seen[c.caCert()], seen[c.caKey()]
	if usable := pki.CheckCA(crt.Data, key.Data, c.place.Now) == nil; c.place.Unforced && !usable {
		return true, nil
	}
	switch {
	case !crt.Exists && !key.Exists:
		return true, nil
	case !crt.Exists || !key.Exists:
		if crt.Exists {
			return false, fault.Fail("restore it from a backup; without one, regctl cert rotate-ca replaces the CA, on every client too", "%s is missing", c.caKey().Path)
		}
		return false, fault.Fail("restore it from a backup; or remove "+c.caKey().Path+" too, and a new CA is made, which every client must then be told to trust",
			"%s is missing", c.caCert().Path)
	}
	info, err := pki.Inspect(crt.Data)
	if err != nil {
		return false, fault.Fail("restore it from a backup", "%s: %w", c.caCert().Path, err)
	}
	return c.place.Now.After(info.NotAfter) || pki.CAFits(crt.Data, c.spec.Hosts) != nil, nil
}

// needLeaf says why the leaf has to be issued anew, or "" when it is good.
func (c certificates) needLeaf(seen host.Facts) string {
	crt, key := currentFacts(c.place, seen)
	if !crt.Exists || !key.Exists {
		return "there is none"
	}
	if err := pki.CheckPair(crt.Data, key.Data, c.spec.Hosts, c.place.Now); err != nil {
		return err.Error()
	}
	leaf, err := pki.Inspect(crt.Data)
	if err != nil {
		return err.Error()
	}
	switch {
	case len(leaf.DNSNames)+len(leaf.IPs) != len(c.spec.Hosts):
		return "it names other hosts too"
	case !pki.IssuedBy(crt.Data, seen[c.caCert()].Data):
		return "another CA issued it than the one that clients trust"
	case leaf.KeyType != c.spec.TLS.KeyType:
		return "its key is " + leaf.KeyType
	case pki.NeedsRenewal(crt.Data, c.place.Now):
		return "two thirds of its life are over"
	}
	return ""
}

// newCA makes a CA: the ops put its certificate and its key in place.
func (c certificates) newCA(seen host.Facts) ([]host.Op, error) {
	caCert, caKey, err := pki.NewCA(c.config(c.spec.Hosts))
	return []host.Op{
		writeOp(c.caCert(), seen, host.Fact{Exists: true, Data: caCert, Mode: 0o644, UID: ourUID(), GID: ourGID()}),
		writeOp(c.caKey(), seen, host.Fact{Exists: true, Data: caKey, Mode: 0o600, UID: ourUID(), GID: ourGID()}),
	}, err
}

func (c certificates) config(hosts []string) pki.Config {
	return pki.Config{
		Name: c.spec.Name, Hosts: hosts, KeyType: c.spec.TLS.KeyType,
		CertDays: c.spec.TLS.CertDays, CADays: c.spec.TLS.CADays, Now: c.place.Now,
	}
}

// issue makes what is missing, with a leaf for hosts, and returns the ops that put
// it in place.
func (c certificates) issue(seen host.Facts, newCA bool, hosts []string) ([]host.Op, error) {
	config := c.config(hosts)
	caCert, caKey := seen[c.caCert()].Data, seen[c.caKey()].Data
	var ops []host.Op
	if newCA {
		var err error
		if ops, err = c.newCA(seen); err != nil {
			return nil, err
		}
		caCert, caKey = ops[0].Want.Data, ops[1].Want.Data
	}
	chain, key, err := pki.Issue(caCert, caKey, config)
	if err != nil {
		return nil, err
	}
	return append(ops, generation(c.place, seen, chain, key)...), nil
}
