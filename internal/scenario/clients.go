package scenario

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
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
	t.MirrorOf = s.Mirror.Of
	if t.MirrorOf == "" {
		t.MirrorOf, _ = asMap(s.Config["proxy"])["remoteurl"].(string)
	}
	if t.Plain || r.PublicCA() {
		return t, nil
	}
	ca, err := readFile(r.Dir.Join("certs", "ca.crt"))
	if err != nil {
		return t, err
	}
	if ca == nil && s.TLS.Mode == spec.TLSSelfSigned {
		return t, fault.Fail("regctl apply makes it", "%s is missing", r.Dir.Join("certs", "ca.crt"))
	}
	t.CA, err = r.withNeighbours(ca)
	return t, err
}

// LockForClients holds the registry for a command that changes clients and not the
// registry itself: what another command left half done is not finished first.
func (r *Registry) LockForClients(ctx context.Context, timeout time.Duration, command string) (err error) {
	told := r.tellWait()
	r.lock, err = statedir.Acquire(ctx, r.Dir, timeout, command)
	told()
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
func (r *Registry) Verification(ctx context.Context, t trust.Registry, o VerifyOptions) (how *verify.Target, done func() error, err error) {
	nothing := func() error { return nil }
	if o.Mode == verify.None {
		return nil, nothing, nil
	}
	if !r.answers(ctx) {
		return nil, nothing, fault.Fail("regctl start starts it; --verify none places the trust without a proof",
			"%s does not answer, so that no client can be verified", r.Spec.Endpoint())
	}
	how = &verify.Target{Registry: t, Mode: o.Mode, User: o.User, Password: o.Password}
	own := r.credentialOpensCanary()
	if !own && o.User == "" {
		how.WhyNone = "its token server gives tokens to users of its own alone: name one with --verify-user"
	}
	if o.Mode == verify.TLS || r.Spec.Image != "" || !own && o.User == "" && r.asksForPassword() {
		return how, nothing, nil
	}
	options := canary.Options{Address: r.Spec.Address(), Credential: own && r.asksForPassword()}
	if r.Spec.Swarmed() { // its tasks see nothing of serve/ctl
		http, err := r.placed("secrets", "http")
		if err != nil {
			return nil, nil, err
		}
		options.Secret = secret.New(strings.TrimSpace(string(http)))
	}
	ref, closer, err := canary.Open(r.Dir, options)
	if err != nil {
		return nil, nothing, err
	}
	how.Canary = &ref
	return how, closer, nil
}

// CheckLogin refuses a login that the registry would refuse, or that it does not ask
// for, before it goes to any client.
func (r *Registry) CheckLogin(ctx context.Context, l trust.Login) error {
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	endpoint := r.endpoint(ctx)
	if r.Spec.TLS.Mode == spec.TLSSelfSigned {
		endpoint.CA, _ = readFile(r.Dir.Join("certs", "ca.crt"))
	}
	admits, asks, err := endpoint.Admits(ctx, l.User, l.Password)
	switch {
	case err != nil:
		return fault.Fail("regctl start starts it", "%s does not answer, so that the login cannot be checked: %w", r.Spec.Endpoint(), err)
	case !asks:
		return fault.Usage("leave --login away", "%s asks nobody for a password", r.Spec.Endpoint())
	case !admits:
		return fault.Usage("see that the name and the password are right", "%s does not let %s in with that password", r.Spec.Endpoint(), l.User)
	}
	return nil
}

// loginTime is how long the registry may take to check a password; bcrypt is slow.
const loginTime = 10 * time.Second

// asksForPassword reports whether the registry lets in only those who log in.
func (r *Registry) asksForPassword() bool {
	for mode := range asMap(r.Spec.Config["auth"]) {
		if mode != "none" {
			return true
		}
	}
	return r.Spec.Auth.Mode != spec.AuthNone
}

// credentialOpensCanary reports whether the canary's own credential is one that
// clients would send: not where they are told to ask somebody else for a token, nor where
// a proxy asks, which knows users alone.
func (r *Registry) credentialOpensCanary() bool {
	_, token := asMap(r.Spec.Config["auth"])["token"]
	return !token && !r.Spec.Auth.Foreign() && !r.Spec.ProxyAsks()
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
		if !c.Trusts() && len(c.Follows) == 0 {
			continue
		}
		s := StatusClient{Host: c.Host, Stores: []string{}, Verified: c.Verified}
		s.Stores = append(s.Stores, c.Follows...)
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
