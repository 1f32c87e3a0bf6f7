// Package pki makes and checks certificates: a private CA that may sign for
// nothing but the registry's own names, leaves issued by it, and pairs that an
// operator brings. It does no I/O; certificates and keys go in and out as PEM.
package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// backdate is how far before now a certificate starts, for clients whose clock
// is behind.
const backdate = time.Hour

const day = 24 * time.Hour

// maxCommonName is ub-common-name of RFC 5280, appendix A.1.
const maxCommonName = 64

// Config says what to make. Hosts are DNS names and IP addresses in the form
// that spec.NormalizeHosts gives them. CertDays and CADays are whole lives from
// notBefore to notAfter, in days of 24 hours.
type Config struct {
	Hosts    []string
	KeyType  string // ecdsa256 (also for ""), ecdsa384, rsa2048, rsa4096 or ed25519
	CertDays int
	CADays   int
	Name     string // the registry's
	Now      time.Time
}

// NewCA makes a self-signed CA and its key (PKCS#8). It may sign leaves only
// (pathlen 0) and, by critical name constraints (RFC 5280, 4.2.1.10), only for
// c.Hosts; a DNS name's constraint covers its subdomains too. Its subject holds
// the registry's name and the first bytes of the key's identifier, so that two
// CAs are never mistaken for each other in a client's store.
func NewCA(c Config) (certPEM, keyPEM []byte, err error) {
	key, err := newKey(c.KeyType)
	if err != nil {
		return nil, nil, err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: commonName("regctl CA for ", c.Name, " "+hex.EncodeToString(id[:4]))},
		NotBefore:             c.Now.Add(-backdate),
		NotAfter:              c.Now.Add(-backdate + time.Duration(c.CADays)*day),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          id,
		AuthorityKeyId:        id,
	}
	constrain(template, c.Hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCert(der), keyPEM, err
}

// Issue makes a key (PKCS#8) and a leaf for exactly c.Hosts, signed by the CA.
//
// chainPEM is what the registry serves: the leaf alone. Its issuer is the root
// that a client must hold already, and one that the server sends proves nothing.
//
// The leaf is good for server authentication only, starts an hour before c.Now
// but never before the CA does, and never outlives it. A CA that is not valid at
// c.Now, or whose constraints do not cover the hosts, is an error.
func Issue(caCert, caKey []byte, c Config) (chainPEM, keyPEM []byte, err error) {
	ca, signer, err := loadCA(caCert, caKey)
	if err != nil {
		return nil, nil, err
	}
	if err := issuable(ca, c.Now); err != nil {
		return nil, nil, err
	}
	if err := fits(ca, c.Hosts); err != nil {
		return nil, nil, err
	}
	return issue(ca, signer, c)
}

// issue is Issue without its checks.
func issue(ca *x509.Certificate, signer crypto.Signer, c Config) (certPEM, keyPEM []byte, err error) {
	key, err := newKey(c.KeyType)
	if err != nil {
		return nil, nil, err
	}
	id, err := keyID(key.Public())
	if err != nil {
		return nil, nil, err
	}
	start := later(c.Now.Add(-backdate), ca.NotBefore)
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               leafSubject(c),
		NotBefore:             start,
		NotAfter:              earlier(start.Add(time.Duration(c.CertDays)*day), ca.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		SubjectKeyId:          id,
	}
	if _, ok := key.(*rsa.PrivateKey); ok {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	for _, host := range c.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCert(der), keyPEM, err
}

// leafSubject is a phrase, never a name: clients that see no DNS SAN hold the
// common name against the CA's constraints, OpenSSL one that looks like a name,
// GnuTLS any. So there is none at all without a DNS SAN.
func leafSubject(c Config) pkix.Name {
	phrase := commonName("regctl registry ", c.Name, "")
	for _, host := range c.Hosts {
		if !isIP(host) {
			return pkix.Name{CommonName: phrase}
		}
	}
	return pkix.Name{Organization: []string{phrase}}
}

// issuable reports why a CA cannot issue a leaf that is valid now.
func issuable(ca *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(ca.NotBefore):
		return fault.Fail("set this machine's clock", "the CA is not valid before %s, and it is %s here", Stamp(ca.NotBefore), Stamp(now))
	case !now.Before(ca.NotAfter):
		return expired("the CA", ca.NotAfter)
	}
	return nil
}

// loadCA reads a CA and its key and checks that they belong together.
func loadCA(certPEM, keyPEM []byte) (*x509.Certificate, crypto.Signer, error) {
	ca, err := firstCert(certPEM)
	if err != nil {
		return nil, nil, err
	}
	if !ca.IsCA {
		return nil, nil, fault.Fail("", "%s is not a CA", ca.Subject)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, nil, err
	}
	if !samePublicKey(ca.PublicKey, key.Public()) {
		return nil, nil, fault.Fail("restore both from the same backup", "the CA's key does not belong to its certificate")
	}
	return ca, key, nil
}

// newSerial is 128 random bits and positive, as RFC 5280, 4.1.2.2 wants it.
func newSerial() *big.Int {
	var b [16]byte
	for {
		rand.Read(b[:]) // never fails
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n
		}
	}
}

// keyID is RFC 7093, section 2, method 1: 160 bits of the SHA-256 of the key.
func keyID(public crypto.PublicKey) ([]byte, error) {
	bits, err := publicKeyBits(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(bits)
	return sum[:20], nil
}

// commonName puts name between before and after, shortened to fit.
func commonName(before, name, after string) string {
	if room := maxCommonName - len(before) - len(after); len(name) > room {
		name = name[:room]
	}
	return before + name + after
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Stamp writes a moment as messages have it.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
