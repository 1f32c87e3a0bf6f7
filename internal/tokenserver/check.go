package tokenserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/go-jose/go-jose/v4"

	"github.com/regctl/regctl/internal/fault"
)

// answerTime is how long a token server may take.
const answerTime = 10 * time.Second

// Server is what the registry will tell its clients, and hold their tokens against.
type Server struct {
	Realm, Service, Issuer string
	Keys                   Keys
}

// algorithms are those that distribution takes for public keys.
var algorithms = []jose.SignatureAlgorithm{
	jose.EdDSA, jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512,
}

// Check asks the server for a token as somebody who does not log in, and holds what it
// gives out against what the registry will demand. One that gives none without a
// login answers as it should: then only that is known, and loginOnly is true.
func (s Server) Check(ctx context.Context) (loginOnly bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	code, status, body, err := s.ask(ctx)
	if err != nil {
		return false, s.silent(err)
	}
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return true, nil
	case code != http.StatusOK:
		return false, fault.Fail("see that --token-realm is the whole URL, path included", "the token server %s answers %s", s.Realm, status)
	}
	var given struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &given); err != nil || given.Token+given.AccessToken == "" {
		return false, fault.Fail("see that --token-realm is the whole URL, path included", "the token server %s answers something that holds no token", s.Realm)
	}
	raw := given.Token
	if raw == "" {
		raw = given.AccessToken
	}
	return false, s.hold(raw)
}

func (s Server) ask(ctx context.Context) (code int, status string, body []byte, err error) {
	realm, err := url.Parse(s.Realm)
	if err != nil {
		return 0, "", nil, err
	}
	query := realm.Query()
	query.Set("service", s.Service)
	query.Set("client_id", "regctl")
	realm.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return 0, "", nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, resp.Status, body, err
}

// silent is the fault of a server that gives no answer.
func (s Server) silent(err error) error {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fault.Fail("put its CA among those that this machine trusts; every client needs it there too",
			"the certificate of the token server %s is not trusted here: %w", s.Realm, untrusted.Err)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // its URL is long, and said already
	}
	return fault.Fail("start it, or mend --token-realm; nobody could log in without it", "the token server %s does not answer: %w", s.Realm, err)
}

// hold says which of the registry's demands a token does not meet.
func (s Server) hold(raw string) error {
	const kind = "the token server %s gives out a token that the registry would refuse: "
	t, err := token.NewToken(raw, algorithms)
	if err != nil {
		return fault.Fail("the registry takes JSON Web Tokens signed by RS, PS, ES or EdDSA", kind+"it is no signed JSON Web Token", s.Realm)
	}
	key, err := s.Keys.verify(t)
	if err != nil {
		return fault.Fail("give the server's own certificate or its CA's with --token-root-ca, or its keys with --token-jwks", kind+"%w", s.Realm, err)
	}
	var c token.ClaimSet
	if err := t.JWT.Claims(key, &c); err != nil {
		return fault.Fail("the key's id is right, and the key is not: fetch the file anew", kind+"its signature is wrong", s.Realm)
	}
	switch now := time.Now(); {
	case c.Issuer != s.Issuer:
		return fault.Fail(fmt.Sprintf("--token-issuer %q, if that is who it ought to be", c.Issuer), kind+"its issuer is %q, not %q", s.Realm, c.Issuer, s.Issuer)
	case !slices.Contains(c.Audience, s.Service):
		return fault.Fail("--token-service must be what the server knows this registry as", kind+"it is for %q, not %q", s.Realm, strings.Join(c.Audience, ", "), s.Service)
	case now.After(time.Unix(c.Expiration, 0).Add(token.Leeway)) || now.Before(time.Unix(c.NotBefore, 0).Add(-token.Leeway)):
		return fault.Fail("set the clocks of both machines", kind+"it is good from %s to %s, and it is %s here", s.Realm,
			stamp(c.NotBefore), stamp(c.Expiration), stamp(now.Unix()))
	}
	return nil
}

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
