package pki

import (
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// CheckCA reports why a private CA cannot issue a leaf at the given moment: it or
// its key does not parse, they do not belong together, or it is not valid then.
func CheckCA(caCert, caKey []byte, now time.Time) error {
	if _, err := firstCert(caCert); err != nil {
		return swapped(caCert, caKey, err)
	}
	ca, _, err := loadCA(caCert, caKey)
	if err != nil {
		return err
	}
	return issuable(ca, now)
}

// IssuedBy reports whether the first certificate of a chain was signed by the
// first of caPEM.
func IssuedBy(chainPEM, caPEM []byte) bool {
	leaf, err := firstCert(chainPEM)
	if err != nil {
		return false
	}
	ca, err := firstCert(caPEM)
	return err == nil && leaf.CheckSignatureFrom(ca) == nil
}

// expiredHint is for a CA that nobody can make valid again.
const expiredHint = "set this machine's clock, if that is wrong; else a new CA is needed, which every client must then be told to trust: regctl cert rotate-ca does both"

func expired(what string, notAfter time.Time) error {
	return fault.Fail(expiredHint, "%s expired on %s", what, Stamp(notAfter))
}
