package tokenserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testissuer"
	"github.com/regctl/regctl/internal/tokenserver"
)

func start(t *testing.T, chain, anonymous bool) *testissuer.Issuer {
	t.Helper()
	i := &testissuer.Issuer{Service: "registry", Name: "them", Chain: chain, Anonymous: anonymous}
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

func keys(t *testing.T, i *testissuer.Issuer) tokenserver.Keys {
	t.Helper()
	ca, jwks := i.CA, []byte(nil)
	if !i.Chain {
		ca, jwks = nil, i.JWKS
	}
	k, err := tokenserver.ParseKeys(ca, jwks)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCheck(t *testing.T) {
	for _, chain := range []bool{true, false} {
		i := start(t, chain, true)
		s := tokenserver.Server{Realm: i.URL, Service: "registry", Issuer: "them", Keys: keys(t, i)}
		if loginOnly, err := s.Check(t.Context()); loginOnly || err != nil {
			t.Errorf("an honest one, x5c %v: %v %v", chain, loginOnly, err)
		}
		for _, flaw := range testissuer.Flaws() {
			i.Spoil(flaw)
			_, err := s.Check(t.Context())
			if err == nil || fault.IsUsage(err) || fault.Hint(err) == "" || !strings.Contains(err.Error(), "would refuse: ") {
				t.Errorf("%s, x5c %v: %v (hint %q)", flaw, chain, err, fault.Hint(err))
			}
		}
	}
}

func TestCheckOfOthers(t *testing.T) {
	honest, closed := start(t, false, true), start(t, false, false)
	s := tokenserver.Server{Realm: closed.URL, Service: "registry", Issuer: "them", Keys: keys(t, closed)}
	if loginOnly, err := s.Check(t.Context()); !loginOnly || err != nil {
		t.Errorf("one that wants a login: %v %v", loginOnly, err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent.Close()
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	t.Cleanup(odd.Close)
	private := httptest.NewUnstartedServer(http.NotFoundHandler())
	private.Config.ErrorLog = nil
	private.StartTLS()
	t.Cleanup(private.Close)
	for realm, want := range map[string]string{
		"http://" + silent.Addr().String() + "/auth": "does not answer: ",
		honest.URL + "/nowhere":                      "answers 404",
		odd.URL:                                      "holds no token",
		private.URL:                                  "is not trusted here",
	} {
		_, err := tokenserver.Server{Realm: realm, Service: "registry", Issuer: "them", Keys: keys(t, honest)}.Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" || fault.IsUsage(err) {
			t.Errorf("%s: %v (hint %q), want %q", realm, err, fault.Hint(err), want)
		}
	}
	other := start(t, false, true)
	_, err = tokenserver.Server{Realm: honest.URL, Service: "registry", Issuer: "them", Keys: keys(t, other)}.Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "its signature is wrong") { // the same id
		t.Errorf("the keys of another: %v", err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k jose.JSONWebKey) string {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for what, c := range map[string]struct{ ca, jwks, want string }{
		"no PEM":        {"certificate", "", "there is no certificate"},
		"a key in PEM":  {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "", "there is no certificate"},
		"damaged":       {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "damaged"},
		"no JSON":       {"", "keys", "no JSON Web Key Set"},
		"no keys":       {"", "{}", "there is no key"},
		"a private key": {"", set(jose.JSONWebKey{Key: key, KeyID: "a"}), "a private one"},
		"no kid":        {"", set(jose.JSONWebKey{Key: &key.PublicKey}), "no kid"},
	} {
		var ca, jwks []byte
		if c.ca != "" {
			ca = []byte(c.ca)
		} else {
			jwks = []byte(c.jwks)
		}
		_, err := tokenserver.ParseKeys(ca, jwks)
		if err == nil || !fault.IsUsage(err) || fault.Hint(err) == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
