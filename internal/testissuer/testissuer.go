// Package testissuer is a token server of somebody else's, for tests: the smallest one
// that Docker logs in to. It shares no code with the registry's own.
package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Flaws of tokens, all of which a registry must refuse.
const (
	None     = ""
	Expired  = "expired"
	Audience = "audience"
	Author   = "issuer"
	Key      = "key"  // signed by another, under the right id
	Stranger = "kid"  // signed by another, under its own
	Unsigned = "none" // alg none
)

// Flaws are all of them.
func Flaws() []string { return []string{Expired, Audience, Author, Key, Stranger, Unsigned} }

// Issuer gives out tokens at URL. Users and what they may do is settled before Start.
type Issuer struct {
	Service, Name string
	Users         map[string]string // passwords
	// May says whether user, "" for one who does not log in, may do that.
	May func(user, repository, action string) bool
	// Anonymous gives those who do not log in a token, for as much as May says; else
	// they are told to.
	Anonymous bool
	Chain     bool // tokens carry a certificate (x5c), and no key's id

	URL    string
	CA     []byte // PEM: signed the certificate
	JWKS   []byte
	flaw   atomic.Value
	key    *ecdsa.PrivateKey
	leaf   []byte
	server *httptest.Server
}

const keyID = "test-key"

// Start serves on loopback until Close.
func (i *Issuer) Start() error {
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	if err := i.certify(); err != nil {
		return err
	}
	i.JWKS, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: keyID, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return err
	}
	i.Spoil(None)
	i.server = httptest.NewServer(i)
	i.URL = i.server.URL + "/auth"
	return nil
}

// Close ends it: whoever asks is refused a connection.
func (i *Issuer) Close() { i.server.Close() }

// Spoil gives all tokens from now on a flaw.
func (i *Issuer) Spoil(flaw string) { i.flaw.Store(flaw) }

// certify has a CA of its own vouch for the key.
func (i *Issuer) certify() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test token CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	i.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test token key"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	i.leaf, err = x509.CreateCertificate(rand.Reader, leaf, ca, &i.key.PublicKey, caKey)
	return err
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, given := r.BasicAuth()
	switch {
	case r.URL.Path != "/auth" || r.Method != http.MethodGet:
		http.NotFound(w, r)
		return
	case given && (i.Users[user] == "" || i.Users[user] != password), !given && !i.Anonymous:
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	token, err := i.token(user, r.URL.Query()["scope"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 120})
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (i *Issuer) token(user string, scopes []string) (string, error) {
	may := []access{}
	for _, scope := range scopes {
		part := strings.Split(scope, ":")
		if len(part) != 3 || part[0] != "repository" {
			continue
		}
		a := access{part[0], part[1], []string{}}
		for _, action := range strings.Split(part[2], ",") {
			if i.May(user, a.Name, action) {
				a.Actions = append(a.Actions, action)
			}
		}
		may = append(may, a)
	}
	now := time.Now()
	claims := map[string]any{
		"iss": i.Name, "sub": user, "aud": i.Service, "access": may, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
	}
	flaw := i.flaw.Load().(string)
	switch flaw {
	case Expired:
		claims["nbf"], claims["exp"] = now.Add(-2*time.Hour).Unix(), now.Add(-time.Hour).Unix()
	case Audience:
		claims["aud"] = "another.example.com"
	case Author:
		claims["iss"] = "somebody"
	case Unsigned:
		return unsigned(claims)
	}
	return i.sign(claims, flaw)
}

func (i *Issuer) sign(claims map[string]any, flaw string) (string, error) {
	var key crypto.Signer = i.key
	id := keyID
	if flaw == Key || flaw == Stranger {
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", err
		}
		key = other
	}
	if flaw == Stranger {
		id = "stranger"
	}
	options := new(jose.SignerOptions).WithType("JWT")
	if i.Chain && flaw != Stranger {
		options.WithHeader("x5c", []string{base64.StdEncoding.EncodeToString(i.leaf)})
	} else {
		options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func unsigned(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT","kid":"`+keyID+`"}`)) + "." + encode(payload) + ".", err
}
