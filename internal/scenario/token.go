package scenario

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/tokenserver"
)

// tokens is --auth token: the key that our own issuer signs with, or the files that
// say whose tokens are good.
func tokens(s spec.Spec, p Place) []step.Step {
	switch {
	case s.Auth.Builtin():
		return []step.Step{tokenKey{p}}
	case s.Auth.Foreign():
		return []step.Step{issuerFiles{s, p}}
	}
	return nil
}

// tokenKey keeps the key of our own issuer, which is made once: with a new one all
// tokens that are out are refused, and clients ask for others. Every replica reads it.
type tokenKey struct{ place Place }

func (k tokenKey) ref() host.Ref     { return fileRef(k.place.Dir.TokenKey()) }
func (k tokenKey) Name() string      { return k.ref().Path }
func (k tokenKey) Reads() []host.Ref { return []host.Ref{k.ref()} }

func (k tokenKey) Plan(seen host.Facts) (step.Change, error) {
	now := seen[k.ref()]
	if tokenKeyWorks(now.Data) {
		return step.WriteFile{
			Path: k.ref().Path, Data: now.Data, Mode: 0o600, UID: k.place.UID, GID: k.place.GID, Mask: hidden,
		}.Plan(seen)
	}
	return step.Change{
		Items: []step.Item{{Target: k.ref().Path, Action: action(now), Diff: "(new P-256 key)"}},
		Make: func(context.Context) ([]host.Op, error) {
			data, err := newTokenKey()
			return []host.Op{writeOp(k.ref(), seen, host.Fact{Exists: true, Data: data, Mode: 0o600, UID: k.place.UID, GID: k.place.GID})}, err
		},
	}, nil
}

func hidden([]byte) []byte { return nil }

func tokenKeyWorks(data []byte) bool {
	block, _ := pem.Decode(data)
	if block == nil {
		return false
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	ec, ok := key.(*ecdsa.PrivateKey)
	return err == nil && ok && ec.Curve == elliptic.P256()
}

func newTokenKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// issuerFiles copies what says whose tokens are good to where the registry reads it.
type issuerFiles struct {
	spec  spec.Spec
	place Place
}

func (f issuerFiles) Name() string { return "keys of the token server" }

// each names the files that are given: the operator's, its flag, and our copy.
func (f issuerFiles) each(do func(flag, from, to string) error) error {
	for _, file := range []struct{ flag, from, to string }{
		{"--token-root-ca", f.spec.Auth.TokenRootCA, f.place.Dir.TokenRootCA()},
		{"--token-jwks", f.spec.Auth.TokenJWKS, f.place.Dir.TokenJWKS()},
	} {
		if file.from == "" {
			continue
		}
		if err := do(file.flag, file.from, file.to); err != nil {
			return err
		}
	}
	return nil
}

func (f issuerFiles) Reads() (refs []host.Ref) {
	_ = f.each(func(_, from, to string) error {
		refs = append(refs, sourceRef(from), fileRef(to))
		return nil
	})
	return refs
}

func (f issuerFiles) Plan(seen host.Facts) (change step.Change, err error) {
	err = f.each(func(flag, from, to string) error {
		data, err := issuerFile(flag, from, seen[sourceRef(from)])
		if err != nil {
			return err
		}
		one, err := step.WriteFile{Path: to, Data: data, Mode: 0o600, UID: f.place.UID, GID: f.place.GID}.Plan(seen)
		change.Items, change.Ops = append(change.Items, one.Items...), append(change.Ops, one.Ops...)
		return err
	})
	return change, err
}

// issuerFile refuses what distribution could not use.
func issuerFile(flag, path string, seen host.Fact) ([]byte, error) {
	if err := brought(flag, path, seen); err != nil {
		return nil, err
	}
	rootCA, jwks := seen.Data, []byte(nil)
	if flag == "--token-jwks" {
		rootCA, jwks = nil, seen.Data
	}
	if _, err := tokenserver.ParseKeys(rootCA, jwks); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return seen.Data, nil
}

// checkIssuer asks somebody else's token server, before anything is done, whether it
// gives out what the registry will demand; only when something about that changes, so
// that a registry can be mended while its token server is down.
func (r *Registry) checkIssuer(ctx context.Context, planned step.Planned) error {
	a := r.Spec.Auth
	if !a.Foreign() || r.NoStart || !touches(planned, r.Dir.ServeConfig(), r.Dir.TokenRootCA(), r.Dir.TokenJWKS()) {
		return nil
	}
	if r.Progress != nil {
		r.Progress("asking " + a.TokenRealm + " for a token")
	}
	said, err := r.askIssuer(ctx, a.TokenRootCA, a.TokenJWKS)
	if err == nil && r.Progress != nil {
		r.Progress(said)
	}
	return err
}

// askIssuer tells what came of asking, by the keys in two files, of which one may be "".
func (r *Registry) askIssuer(ctx context.Context, rootCA, jwks string) (string, error) {
	var files [2][]byte
	for i, path := range []string{rootCA, jwks} {
		if path == "" {
			continue
		}
		data, err := readFile(path)
		if err != nil {
			return "", host.Failed("read", path, err)
		}
		files[i] = data
	}
	keys, err := tokenserver.ParseKeys(files[0], files[1])
	if err != nil {
		return "", err
	}
	a := r.Spec.Auth
	loginOnly, err := tokenserver.Server{Realm: a.TokenRealm, Service: a.TokenService, Issuer: a.TokenIssuer, Keys: keys}.Check(ctx)
	if loginOnly {
		return a.TokenRealm + " gives no token without a login, so that the first login shows whether the registry takes its tokens", err
	}
	return a.TokenRealm + " gives out tokens that the registry takes", err
}

// touches reports whether a plan changes one of the files.
func touches(planned step.Planned, paths ...string) bool {
	for _, item := range planned.Items() {
		for _, path := range paths {
			if item.Target == path {
				return true
			}
		}
	}
	return false
}
