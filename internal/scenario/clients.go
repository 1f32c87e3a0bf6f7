package scenario

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// ForClients is what clients must know of the registry.
func (r *Registry) ForClients() (trust.Registry, error) {
	s := r.Spec
	t := trust.Registry{Host: s.First(), Port: s.Port, Plain: s.TLS.Mode == spec.TLSNone}
	t.MirrorOf, _ = asMap(s.Config["proxy"])["remoteurl"].(string)
	if t.Plain {
		return t, nil
	}
	ca, err := readFile(r.Dir.Join("certs", "ca.crt"))
	if err != nil {
		return t, err
	}
	if ca == nil && s.TLS.Mode != spec.TLSFiles {
		return t, fault.Fail("regctl apply makes it", "%s is missing", r.Dir.Join("certs", "ca.crt"))
	}
	t.CA = ca
	return t, nil
}

// LockForClients holds the registry for a command that changes clients and not the
// registry itself: what another command left half done is not finished first.
func (r *Registry) LockForClients(ctx context.Context, timeout time.Duration, command string) (err error) {
	r.lock, err = statedir.Acquire(ctx, r.Dir, timeout, command)
	if errors.Is(err, fs.ErrNotExist) {
		return r.Missing()
	}
	return err
}

// VerifyOptions say how clients are to prove their trust.
type VerifyOptions struct {
	Mode     verify.Mode
	User     string // pulls in place of the canary's own credential
	Password secret.String
}

// Verification opens what clients pull to prove their trust, under the lock. The
// caller must call done in the end. A registry that does not answer is an error, since
// no client could prove anything.
func (r *Registry) Verification(ctx context.Context, o VerifyOptions) (how *verify.Target, done func() error, err error) {
	nothing := func() error { return nil }
	t, err := r.ForClients()
	if err != nil || o.Mode == verify.None {
		return nil, nothing, err
	}
	if !r.answers(ctx) {
		return nil, nothing, fault.Fail("regctl start starts it; --verify none places the trust without a proof",
			"%s does not answer, so that no client can be verified", r.Spec.Endpoint())
	}
	how = &verify.Target{Registry: t, Mode: o.Mode, User: o.User, Password: o.Password}
	own := r.credentialOpensCanary()
	if o.Mode == verify.TLS || r.Spec.Image != "" || !own && o.User == "" && r.asksForPassword() {
		return how, nothing, nil
	}
	ref, closer, err := canary.Open(r.Dir, canary.Options{Address: r.Spec.Address(), Credential: own && r.asksForPassword()})
	if err != nil {
		return nil, nothing, err
	}
	how.Canary = &ref
	return how, closer, nil
}

// asksForPassword reports whether the registry lets in only those who log in.
func (r *Registry) asksForPassword() bool {
	for mode := range asMap(r.Spec.Config["auth"]) {
		if mode != "none" {
			return true
		}
	}
	return false
}

// credentialOpensCanary reports whether the canary's own credential is one that
// clients would send: not where they are told to ask somebody else for a token.
func (r *Registry) credentialOpensCanary() bool {
	_, token := asMap(r.Spec.Config["auth"])["token"]
	return !token
}

// Clients are the hosts that trust the registry, or were asked to.
func (r *Registry) Clients() ([]statedir.Client, error) {
	all, err := statedir.LoadClients(r.Dir)
	slices.SortFunc(all, func(a, b statedir.Client) int { return cmp.Compare(a.Key, b.Key) })
	return all, err
}

// statusClients is what status says of them.
func (r *Registry) statusClients() ([]StatusClient, error) {
	all, err := r.Clients()
	clients := []StatusClient{}
	for _, c := range all {
		if !c.Trusts() {
			continue
		}
		s := StatusClient{Host: c.Host, Stores: []string{}, Verified: c.Verified}
		for _, store := range c.Stores {
			if !slices.Contains(s.Stores, store.Store) {
				s.Stores = append(s.Stores, store.Store)
			}
		}
		if !c.LastSeen.IsZero() {
			s.LastSeen = &c.LastSeen
		}
		clients = append(clients, s)
	}
	return clients, err
}
