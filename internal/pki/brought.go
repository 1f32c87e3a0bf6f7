package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// Pair is what a server sends and signs with, PEM.
type Pair struct {
	Chain []byte // the leaf, then each certificate that signed the one before it, without the root
	Key   []byte
	Notes []string // what was changed about the operator's files, a phrase each
}

// Bring makes a Pair of a certificate file and a key file that somebody else
// made. The chain is put in order, and what is there twice is dropped; so is a
// root, for clients judge by their own copy of it. A certificate that has no place
// in the chain, and whatever CheckPair refuses, is a usage fault.
func Bring(certPEM, keyPEM []byte, hosts []string, now time.Time) (Pair, error) {
	all, err := certs(certPEM)
	if err != nil {
		return Pair{}, swapped(certPEM, keyPEM, err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return Pair{}, err
	}
	pair := Pair{Key: pem.EncodeToMemory(keyBlock(keyPEM))}
	chain, err := arrange(all, key.Public(), &pair.Notes)
	if err != nil {
		return Pair{}, err
	}
	for _, cert := range chain {
		pair.Chain = append(pair.Chain, encodeCert(cert.Raw)...)
	}
	if holdsKey(certPEM) {
		return Pair{}, keyInside()
	}
	return pair, CheckPair(pair.Chain, pair.Key, hosts, now)
}

// swapped says of files without the right thing in them that each has the other's.
func swapped(certPEM, keyPEM []byte, err error) error {
	if _, other := certs(keyPEM); other == nil && holdsKey(certPEM) && !holdsKey(keyPEM) {
		return fault.Usage("give each file with the other's flag", "the key and the certificate are swapped: this file holds the private key")
	}
	return err
}

// Fits reports whether the key belongs to one of the certificates of a PEM file.
func Fits(certPEM, keyPEM []byte) bool {
	all, err := certs(certPEM)
	if err != nil {
		return false
	}
	key, err := parseKey(keyPEM)
	return err == nil && leafOf(all, key.Public()) != nil
}

func leafOf(all []*x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	for _, cert := range all {
		if samePublicKey(cert.PublicKey, public) {
			return cert
		}
	}
	return nil
}

// arrange builds the chain up from the certificate of the key.
func arrange(all []*x509.Certificate, public crypto.PublicKey, notes *[]string) ([]*x509.Certificate, error) {
	leaf := leafOf(all, public)
	if leaf == nil {
		return nil, foreignKey(all[0])
	}
	chain := []*x509.Certificate{leaf}
	for next := leaf; !selfIssued(next); {
		next = issuerOf(next, all)
		if next == nil || slices.ContainsFunc(chain, next.Equal) {
			break
		}
		chain = append(chain, next)
	}
	if top := chain[len(chain)-1]; len(chain) > 1 && selfIssued(top) {
		chain = chain[:len(chain)-1]
	}
	return chain, misplaced(all, chain, notes)
}

// issuerOf finds who signed cert. Of one authority's certificates that is not a
// root is taken first: a cross-signed one leads further.
func issuerOf(cert *x509.Certificate, all []*x509.Certificate) (found *x509.Certificate) {
	for _, other := range all {
		if !bytes.Equal(cert.RawIssuer, other.RawSubject) || cert.CheckSignatureFrom(other) != nil {
			continue
		}
		if !selfIssued(other) {
			return other
		}
		found = other
	}
	return found
}

// misplaced notes what is left out and what has moved, and refuses a certificate
// that is neither of the chain nor superfluous.
func misplaced(all, chain []*x509.Certificate, notes *[]string) error {
	ordered, at := true, 0
	for i, cert := range all {
		same := func(c *x509.Certificate) bool { return samePublicKey(c.PublicKey, cert.PublicKey) }
		switch {
		case slices.ContainsFunc(all[:i], cert.Equal):
			*notes = append(*notes, cert.Subject.String()+" is there twice")
		case slices.ContainsFunc(chain, cert.Equal):
			ordered = ordered && cert.Equal(chain[at])
			at++
		case selfIssued(cert):
			*notes = append(*notes, "the root "+cert.Subject.String()+" is left out")
		case slices.ContainsFunc(chain, same):
			*notes = append(*notes, "another certificate of "+cert.Subject.String()+" is left out")
		default:
			return noPlace(cert, i, chain)
		}
	}
	if !ordered {
		*notes = append(*notes, "its chain was put in order")
	}
	return nil
}

func noPlace(cert *x509.Certificate, i int, chain []*x509.Certificate) error {
	top := chain[len(chain)-1]
	for _, below := range chain {
		if bytes.Equal(below.RawIssuer, cert.RawSubject) {
			return fault.Usage("get the chain anew from whoever issued it", "certificate %d (%s) did not sign %s, which names it", i+1, cert.Subject, below.Subject)
		}
	}
	return fault.Usage("leave it out, and add the certificate of "+top.Issuer.String()+" unless that is a root",
		"certificate %d (%s) has no place in the chain of %s", i+1, cert.Subject, chain[0].Subject)
}

// CheckAnchor reports why clients that trust the certificates of caPEM would
// refuse a chain at the given moment, as a usage fault.
func CheckAnchor(chainPEM, caPEM []byte, now time.Time) error {
	chain, err := certs(chainPEM)
	if err != nil {
		return err
	}
	anchors, err := certs(caPEM)
	if err != nil {
		return err
	}
	if holdsKey(caPEM) {
		return fault.Usage("give a file with the certificate alone: it goes to every client", "it holds a private key too")
	}
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	for _, ca := range anchors {
		if !ca.IsCA && !ca.Equal(chain[0]) {
			return fault.Usage("give the certificate of the CA that signed", "%s is not a CA", ca.Subject)
		}
		roots.AddCert(ca)
	}
	for _, cert := range chain[1:] {
		middle.AddCert(cert)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: now})
	if err == nil {
		return nil
	}
	if now.After(anchors[0].NotAfter) {
		return fault.Usage("get a new one; or set this machine's clock, if that is wrong", "%s expired on %s", anchors[0].Subject, Stamp(anchors[0].NotAfter))
	}
	top := chain[len(chain)-1]
	return fault.Usage("give the CA that "+top.Subject.String()+" leads to, and every intermediate between them in the certificate's file: it was issued by "+top.Issuer.String(),
		"the certificate does not lead to %s: %w", anchors[0].Subject, err)
}
