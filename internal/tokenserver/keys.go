// Package tokenserver is somebody else's token server, as a registry relies on it: the
// files that say whose tokens are good, and whether the server gives out such tokens.
package tokenserver

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/go-jose/go-jose/v4"

	"github.com/regctl/regctl/internal/fault"
)

// Keys are those that tokens may be signed with, by their ids, and the certificates
// that vouch for others.
type Keys struct {
	roots []*x509.Certificate
	byID  map[string]crypto.PublicKey
}

// ParseKeys reads a bundle of certificates in PEM and a JSON Web Key Set (RFC 7517);
// either may be nil. Files of which distribution would take nothing, or would not
// start, are usage faults that begin with what is wrong.
func ParseKeys(rootCA, jwks []byte) (Keys, error) {
	k := Keys{byID: map[string]crypto.PublicKey{}}
	if rootCA != nil {
		if err := k.addRoots(rootCA); err != nil {
			return k, err
		}
	}
	if jwks != nil {
		return k, k.addJWKS(jwks)
	}
	return k, nil
}

func (k *Keys) addRoots(bundle []byte) error {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fault.Usage("--token-root-ca wants certificates in PEM", "a certificate in it is damaged: %w", err)
		}
		k.roots = append(k.roots, cert)
		k.byID[token.GetJWKThumbprint(cert.PublicKey)] = cert.PublicKey
	}
	if len(k.roots) == 0 {
		return fault.Usage("--token-root-ca wants certificates in PEM", "there is no certificate in it")
	}
	return nil
}

func (k *Keys) addJWKS(text []byte) error {
	const hint = "--token-jwks wants a JSON Web Key Set of public keys, as token servers publish it"
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return fault.Usage(hint, "is no JSON Web Key Set: %w", err)
	}
	if len(set.Keys) == 0 {
		return fault.Usage(hint, "there is no key in it")
	}
	for i, key := range set.Keys {
		switch {
		case !key.Valid():
			return fault.Usage(hint, "key %d in it is damaged", i+1)
		case !key.IsPublic():
			return fault.Usage(hint+"; the private half belongs to the token server alone", "key %d in it is a private one", i+1)
		case key.KeyID == "":
			return fault.Usage("give each key a kid: tokens name their key by it", "key %d in it has no kid", i+1)
		}
		k.byID[key.KeyID] = key.Key
	}
	return nil
}

func (k Keys) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range k.roots {
		pool.AddCert(c)
	}
	return pool
}

// verify finds the key that signed a token among those that count.
func (k Keys) verify(t *token.Token) (crypto.PublicKey, error) {
	key, err := t.VerifySigningKey(token.VerifyOptions{Roots: k.pool(), TrustedKeys: k.byID})
	if err != nil {
		return nil, fmt.Errorf("the key that signed it is not one of those: %w", err)
	}
	return key, nil
}
