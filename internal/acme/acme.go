// Package acme gets certificates from an ACME server (RFC 8555): Let's Encrypt or any
// other. It returns what it gets and writes no file but a challenge's own, which it
// removes again.
//
// lego signs, counts nonces and knows DNS providers; the order of things is ours, so
// that a context ends it at once and every failure says what to do next.
package acme

import (
	"context"
	"time"

	"github.com/regctl/regctl/internal/secret"
)

// The directories of Let's Encrypt. What the second issues nobody trusts; its limits
// are wide.
const (
	LetsEncrypt        = "https://acme-v02.api.letsencrypt.org/directory"
	LetsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// Options say what to get, from whom, and how to prove that the names are ours. A
// call that needs less of it says so.
type Options struct {
	// Directory is the ACME directory's URL; "" is LetsEncrypt.
	Directory string
	// CA are the roots (PEM) that vouch for the directory's own TLS; nil means the
	// system's.
	CA []byte
	// Accounts is what Result.Accounts was the last time, from a file that only its
	// owner can read.
	Accounts secret.String
	// Email is where the CA writes to; it may be empty.
	Email string
	// AcceptTOS says that the operator accepts the CA's terms. It is needed once, for
	// a new account.
	AcceptTOS bool
	// EAB binds a new account to one that the CA has already (RFC 8555, 7.3.4).
	EAB EAB

	// Names are DNS names and IP addresses in the form that spec.NormalizeHosts
	// gives them.
	Names []string
	// KeyType is one of KeyTypes; "" is the first.
	KeyType string
	// Profile is one of those that the directory offers; "" leaves it to the CA.
	Profile string
	// PreferredChain is the common name of the root that the chain should lead to,
	// where the CA offers several.
	PreferredChain string
	// Replaces is the leaf (PEM) in whose place this one comes: a CA that has ARI
	// does not count that against its limits (RFC 9773, 5).
	Replaces []byte

	Challenge Challenge

	// Say is told each step, a line at a time; it may be nil.
	Say func(line string)
	// Timeout is how long one request to the CA may take; 0 is 30 s.
	Timeout time.Duration

	wait  func(context.Context, time.Duration) error // nil is the real one
	reach *reach                                     // so is nil here
}

// EAB is what a CA gives its customers for their first registration. HMAC is in
// base64url, as they give it.
type EAB struct {
	KID  string
	HMAC secret.String
}

// Result is what an order came to, PEM.
type Result struct {
	CertPEM, ChainPEM, FullchainPEM []byte // the leaf; what signed it; both in that order
	KeyPEM                          []byte // PKCS#8
	// Accounts is to be kept, 0600, also when there was an error: it holds the key
	// that the next call needs.
	Accounts secret.String
}

// Obtain orders one certificate for all of o.Names. Either it returns all of a
// certificate, checked as pki.CheckPair checks, or an error that says what to do;
// Result.Accounts is good in both cases. An end of ctx ends it; what a challenge left
// is removed nevertheless.
func Obtain(ctx context.Context, o Options) (Result, error) {
	result := Result{Accounts: o.Accounts}
	if err := Check(o); err != nil {
		return result, err
	}
	s, err := connect(ctx, o)
	if err != nil {
		return result, err
	}
	defer s.close()
	err = s.login()
	if err == nil {
		err = s.obtain(&result)
	}
	result.Accounts = s.book.encode()
	return result, s.explain(err)
}

// Revoke has the CA withdraw a certificate, which nobody should trust from then on.
// The account that ordered it does it, or else the certificate's own key. One that is
// revoked already is no error. It needs Directory, CA and Accounts.
func Revoke(ctx context.Context, o Options, certPEM, keyPEM []byte) error {
	s, err := connect(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	return s.explain(s.revoke(certPEM, keyPEM))
}
