package scenario

import (
	"bytes"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
)

// certs/ca.crt is the CA in force at any time. The one that is to follow it lies
// beside it as next-ca.crt until the leaf is issued by it, the one that it followed as
// old-ca.crt until no client is to trust that any more. state.json names the phase for
// people; where a kill came between the two, the files are right.
func (c certificates) nextCert() host.Ref { return fileRef(c.place.Dir.Join("certs", nextCert)) }

func (c certificates) nextKey() host.Ref { return fileRef(c.place.Dir.Join("certs", "next-ca.key")) }
func (c certificates) oldCert() host.Ref { return fileRef(c.place.Dir.Join("certs", oldCert)) }

const (
	nextCert = "next-ca.crt"
	oldCert  = "old-ca.crt"
)

// Rotation tells how far the replacement of the CA has come; "" when none is under way.
func (r *Registry) Rotation() statedir.RotationPhase {
	if r.wanted() != byOwnCA {
		return ""
	}
	for _, one := range []struct {
		file  string
		phase statedir.RotationPhase
	}{{nextCert, statedir.Spreading}, {oldCert, statedir.Withdrawing}} {
		if data, err := readFile(r.Dir.Join("certs", one.file)); err == nil && data != nil {
			return one.phase
		}
	}
	return ""
}

// Skipped are the hosts that were left out before the switch.
func (r *Registry) Skipped() []string {
	if r.state.Rotation == nil {
		return nil
	}
	return r.state.Rotation.Skipped
}

// withNeighbours puts the CAs around the one in force beside it, while it is being
// replaced. The newest comes first: where each has a file of its own, that of the one
// that stays is never the one to go.
func (r *Registry) withNeighbours(ca []byte) ([]byte, error) {
	if r.wanted() != byOwnCA {
		return ca, nil
	}
	next, err := readFile(r.Dir.Join("certs", nextCert))
	if err != nil {
		return nil, err
	}
	old, err := readFile(r.Dir.Join("certs", oldCert))
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, one := range [][]byte{next, ca, old} {
		if _, err := pki.Inspect(one); err != nil || bytes.Contains(all, bytes.TrimSpace(one)) {
			continue // there is none, or it is of no use to clients
		}
		all = append(append(all, bytes.TrimSpace(one)...), '\n')
	}
	if next == nil && old == nil || all == nil {
		return ca, nil
	}
	return all, nil
}

// InForce is what clients must know at the least: the CA in force and no other.
func (r *Registry) InForce() (trust.Registry, error) {
	t, err := r.ForClients()
	if err != nil || r.Rotation() == "" {
		return t, err
	}
	t.CA, err = readFile(r.Dir.Join("certs", "ca.crt"))
	return t, err
}
