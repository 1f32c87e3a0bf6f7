package embeddedregistry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// tokenKeyName is the file beside config.yml that holds the key, PEM in PKCS #8.
	// Replicas share it, so each takes the tokens of all.
	tokenKeyName = "token.key"
	// tokenLife is as short as clients bear (60 s) with room: what a token is good for
	// is held against the files at every request anyway.
	tokenLife = 5 * time.Minute
	// clockSkew is between replicas.
	clockSkew = 10 * time.Second
)

// issuer makes tokens and checks them, as distribution's token specification has them
// (docs/content/spec/auth/jwt.md), signed by ES256 alone.
type issuer struct {
	service, name string
	rules         rules

	key  *ecdsa.PrivateKey // nil: it cannot be read
	id   string            // of the key: its thumbprint (RFC 7638)
	bind []byte            // key of credentialOf
}

// claims are what a token says.
type claims struct {
	jwt.Claims
	Access []tokenAccess `json:"access"`
	// Credential ties a token to the user's line in htpasswd: with the line it goes.
	Credential string `json:"cred,omitempty"`
}

type tokenAccess struct {
	Type    string   `json:"type"`
	Class   string   `json:"class,omitempty"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// newIssuer comes with its error: one without a key knows what it would say.
func newIssuer(t *extraToken, keyFile string) (*issuer, error) {
	i := &issuer{service: t.Service, name: t.Issuer, rules: t.Rules}
	key, err := readTokenKey(keyFile)
	if err != nil {
		return i, err
	}
	jwk := jose.JSONWebKey{Key: &key.PublicKey}
	thumb, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return i, err
	}
	scalar, err := key.Bytes()
	if err != nil {
		return i, err
	}
	mac := hmac.New(sha256.New, scalar)
	mac.Write([]byte("regctl: what ties a token to a credential"))
	i.key, i.id, i.bind = key, base64.RawURLEncoding.EncodeToString(thumb), mac.Sum(nil)
	return i, nil
}

func readTokenKey(path string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: is no PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve.Params().BitSize != 256 {
		return nil, fmt.Errorf("%s: is no P-256 key", path)
	}
	return key, nil
}

// credentialOf tells nobody without the key anything of the hash.
func (i *issuer) credentialOf(user, hash string) string {
	mac := hmac.New(sha256.New, i.bind)
	fmt.Fprintf(mac, "%d:%s%s", len(user), user, hash)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// issue signs a token for user, "" for one who did not log in.
func (i *issuer) issue(user, credential string, access []tokenAccess, now time.Time) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.id}},
		new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: i.name, Subject: user, Audience: jwt.Audience{i.service}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLife)),
		},
		Access: access, Credential: credential,
	}).Serialize()
}

var errBadToken = errors.New("no token of ours, or not good any more")

// read checks a token by itself: who signed it, by what algorithm, for whom and when.
// Whether its user is still one is for the caller. known are tokens whose signature
// was right.
func (i *issuer) read(raw string, known *cache, now time.Time) (*claims, error) {
	seen := known.key("token", i.id, raw)
	c := known.token(seen)
	if c == nil {
		if c = i.verified(raw); c == nil {
			return nil, errBadToken
		}
		known.addToken(seen, c)
	}
	expected := jwt.Expected{Issuer: i.name, AnyAudience: jwt.Audience{i.service}, Time: now}
	if c.Expiry == nil || c.NotBefore == nil || c.ValidateWithLeeway(expected, clockSkew) != nil {
		return nil, errBadToken
	}
	return c, nil
}

// verified is what a token says, if our key signed it.
func (i *issuer) verified(raw string) *claims {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(token.Headers) != 1 || token.Headers[0].KeyID != i.id {
		return nil
	}
	c := new(claims)
	if err := token.Claims(&i.key.PublicKey, c); err != nil {
		return nil
	}
	return c
}

// covers reports whether a token names all that is wanted.
func (c claims) covers(wanted []auth.Access) bool {
	for _, w := range wanted {
		if !slices.ContainsFunc(c.Access, func(a tokenAccess) bool {
			return a.Type == w.Type && a.Name == w.Name && slices.Contains(a.Actions, w.Action)
		}) {
			return false
		}
	}
	return true
}
