package pki

import (
	"crypto/rand"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/regctl/regctl/internal/secret"
)

// TrustStore puts the certificates of a PEM file into a PKCS#12 trust store (RFC
// 7292) under names that begin with alias, as Java (8u301 and later), .NET and openssl
// read it. The password protects nothing secret: readers want one.
func TrustStore(caPEM []byte, alias string, password secret.String) ([]byte, error) {
	all, err := certs(caPEM)
	if err != nil {
		return nil, err
	}
	entries := make([]pkcs12.TrustStoreEntry, len(all))
	for i, cert := range all {
		entries[i] = pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: alias}
		if i > 0 {
			entries[i].FriendlyName += " " + cert.Subject.String()
		}
	}
	return pkcs12.Modern2023.WithRand(rand.Reader).EncodeTrustStoreEntries(entries, password.Reveal())
}
