package embeddedregistry

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Tokens that are not ours, not for us, not for now, or not signed by ES256 are
// refused, whatever they say.
func TestForgedTokens(t *testing.T) {
	s := serveTokens(t)
	block, _ := pem.Decode([]byte(read(t, filepath.Join(s.dir, tokenKeyName))))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(*ecdsa.PrivateKey)
	other, _ := newTokenKey(t)
	token, _ := s.token(t, "carol", "carol", "repository:team/app:pull")
	got, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	kid := got.Headers[0].KeyID
	honest := map[string]any{}
	if err := got.Claims(&key.PublicKey, &honest); err != nil {
		t.Fatal(err)
	}
	but := func(changes map[string]any) map[string]any {
		all := maps.Clone(honest)
		for name, value := range changes {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	sign := func(alg jose.SignatureAlgorithm, key any, kid string, c map[string]any) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jwt.Signed(signer).Claims(c).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	ours := func(changes map[string]any) string { return sign(jose.ES256, key, kid, but(changes)) }
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	more := encode(strings.Replace(string(payload), `"pull"`, `"pull","push","delete"`, 1))
	if more == parts[1] {
		t.Fatalf("nothing to tamper with in %s", payload)
	}
	bad := map[string]string{
		"none":               encode(`{"alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + ".",
		"none, upper case":   encode(`{"alg":"NONE","kid":"`+kid+`"}`) + "." + parts[1] + ".",
		"none, with a sig":   encode(`{"alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
		"another key":        sign(jose.ES256, other, kid, honest),
		"another key's id":   sign(jose.ES256, key, "other", honest),
		"no key id":          sign(jose.ES256, key, "", honest),
		"HMAC of the key":    sign(jose.HS256, public, kid, honest),
		"more than signed":   parts[0] + "." + more + "." + parts[2],
		"no signature":       parts[0] + "." + parts[1] + ".",
		"half of it":         token[:len(token)/2],
		"expired":            ours(map[string]any{"exp": ago(time.Minute)}),
		"never expires":      ours(map[string]any{"exp": nil}),
		"not yet":            ours(map[string]any{"nbf": ago(-time.Minute), "exp": ago(-time.Hour)}),
		"made in the future": ours(map[string]any{"iat": ago(-time.Hour), "exp": ago(-2 * time.Hour)}),
		"other audience":     ours(map[string]any{"aud": "registry.example.com"}),
		"no audience":        ours(map[string]any{"aud": nil}),
		"other issuer":       ours(map[string]any{"iss": "them"}),
		"no issuer":          ours(map[string]any{"iss": nil}),
		"unknown user":       ours(map[string]any{"sub": "nobody"}),
		"another's":          ours(map[string]any{"sub": "alice"}),
		"no one's, with it":  ours(map[string]any{"sub": ""}),
		"the canary's":       ours(map[string]any{"sub": canarySubject}),
		"no credential":      ours(map[string]any{"cred": nil}),
	}
	const path = "/v2/team/app/manifests/none"
	for what, raw := range bad {
		got := s.as(t, raw, http.MethodGet, path)
		if got.status != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), "error=") {
			t.Errorf("%s: %d %v", what, got.status, got.header["Www-Authenticate"])
		}
	}
	// The same means make one that is taken, so none above was refused for its making.
	for what, raw := range map[string]string{"as it was": token, "made anew": ours(map[string]any{"jti": rand.Text()})} {
		if got := s.as(t, raw, http.MethodGet, path); got.status != 404 {
			t.Errorf("%s: %d", what, got.status)
		}
	}
}
