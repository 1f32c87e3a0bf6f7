package acme

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/fault"
)

// Each kind of problem says what to do next (RFC 8555, 6.7).
func TestHints(t *testing.T) {
	for _, c := range []struct{ kind, challenge, hint string }{
		{"unauthorized", HTTP01, "port 80 of registry.test must lead to this machine"},
		{"connection", HTTP01, "port 80 of registry.test"},
		{"connection", TLSALPN01, "port 443 of registry.test must lead to the registry"},
		{"tls", TLSALPN01, "port 443 of registry.test"},
		{"incorrectResponse", DNS01, "TXT record _acme-challenge.registry.test"},
		{"dns", DNS01, "TXT record _acme-challenge.registry.test"},
		{"dns", HTTP01, "give registry.test an A or AAAA record"},
		{"caa", HTTP01, "add `registry.test. CAA 0 issue \"ca.test\"`"},
		{"rejectedIdentifier", HTTP01, "--tls selfsigned"},
		{"unsupportedIdentifier", HTTP01, "--profile shortlived"},
		{"invalidProfile", HTTP01, "--profile"},
		{"badCSR", HTTP01, "--key-type"},
		{"badPublicKey", HTTP01, "--key-type"},
		{"externalAccountRequired", HTTP01, "--eab-kid KID --eab-hmac-file FILE"},
		{"userActionRequired", HTTP01, "open https://ca.test/terms, do what it asks for, then try again with --accept-tos"},
		{"invalidContact", HTTP01, "--email"},
		{"unsupportedContact", HTTP01, "--email"},
		{"accountDoesNotExist", HTTP01, "remove the file of ACME accounts"},
		{"rateLimited", HTTP01, "try again when the CA says so"},
		{"serverInternal", HTTP01, "the CA is in trouble, not you"},
		{"somethingNew", HTTP01, "another CA with --acme-server"},
	} {
		s, err := connect(t.Context(), Options{Directory: "https://ca.test/dir", Names: []string{"registry.test"}, Challenge: Challenge{Kind: c.challenge}})
		if err != nil {
			t.Fatal(err)
		}
		p := &legoacme.ProblemDetails{Type: errorNamespace + c.kind, Detail: "because of\nthat.", Instance: "https://ca.test/terms"}
		err = s.explain(about{name: "registry.test", err: fmt.Errorf("wrapped: %w", p)})
		want(t, err, false, "registry.test: ca.test: because of that ("+c.kind+")", c.hint)
	}
}

// A compound problem names each part, and goes by the first.
func TestCompoundProblem(t *testing.T) {
	s, err := connect(t.Context(), Options{Directory: "https://ca.test/dir", Names: []string{"a.test", "b.test"}, Challenge: Challenge{Kind: HTTP01}})
	if err != nil {
		t.Fatal(err)
	}
	part := func(kind, name string) legoacme.SubProblem {
		return legoacme.SubProblem{Type: errorNamespace + kind, Detail: "no", Identifier: legoacme.Identifier{Type: "dns", Value: name}}
	}
	p := &legoacme.ProblemDetails{
		Type: errorNamespace + "malformed", Detail: "several names", HTTPStatus: 400,
		SubProblems: []legoacme.SubProblem{part("caa", "b.test"), part("rejectedIdentifier", "a.test")},
	}
	want(t, s.explain(p), false, "ca.test: several names; b.test: no; a.test: no (caa)", "CAA record of b.test")
	// What we said ourselves stays.
	ours := fault.Usage("do it", "ours")
	if got := s.explain(ours); !errors.Is(got, ours) || fault.Hint(got) != "do it" {
		t.Error(got)
	}
	// A handshake that gets no answer times out as this does.
	mute := &url.Error{Op: "Get", URL: "https://ca.test/dir", Err: os.ErrDeadlineExceeded}
	want(t, s.explain(mute), false, "ca.test does not answer: i/o timeout", "curl -v")
	want(t, s.explain(errors.New("order: unknown")), false, "ca.test does not talk as an ACME server: order: unknown", "--acme-server")
	want(t, s.explain(silentFor{"the certificate", orderTime}), false, "ca.test: waited 3m0s for the certificate", "few minutes")
}

// A rate limit of Let's Encrypt's own points to the directory without one.
func TestRateLimitHint(t *testing.T) {
	s, err := connect(t.Context(), Options{Names: []string{"registry.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &legoacme.RateLimitedError{ProblemDetails: &legoacme.ProblemDetails{Type: errorNamespace + "rateLimited", Detail: "too many"}}
	want(t, s.explain(p), false, "acme-v02.api.letsencrypt.org: too many (rateLimited)", "try things out with --staging")
}
