package pki

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// CheckPair reports why a certificate file (leaf first, then its chain) and a
// private key would not serve the hosts to Docker at the given moment; nil when
// they would. It does not say whether clients trust the chain's root. Faults are
// usage faults.
func CheckPair(certPEM, keyPEM []byte, hosts []string, now time.Time) error {
	chain, err := certs(certPEM)
	if err != nil {
		return swapped(certPEM, keyPEM, err)
	}
	if holdsKey(certPEM) {
		return keyInside()
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return err
	}
	if err := checkKey(chain, key.Public()); err != nil {
		return err
	}
	for _, check := range []func([]*x509.Certificate) error{
		checkOrder,
		func(chain []*x509.Certificate) error { return checkDates(chain, now) },
		checkUse,
		func(chain []*x509.Certificate) error { return checkNames(chain[0], hosts) },
	} {
		if err := check(chain); err != nil {
			return err
		}
	}
	return nil
}

const orderHint = "put the leaf first, then each certificate that signed the one before it: cat leaf.crt intermediate.crt > chain.crt"

func checkKey(chain []*x509.Certificate, public any) error {
	if samePublicKey(chain[0].PublicKey, public) {
		return nil
	}
	for _, cert := range chain[1:] {
		if samePublicKey(cert.PublicKey, public) {
			return fault.Usage(orderHint, "the chain is in the wrong order: the key belongs to %s, which is not first", cert.Subject)
		}
	}
	return foreignKey(chain[0])
}

func foreignKey(cert *x509.Certificate) error {
	return fault.Usage("give the key that the certificate was made with", "the private key does not belong to the certificate (%s)", cert.Subject)
}

func keyInside() error {
	return fault.Usage("keep the key in a file of its own: the certificate's is readable by all", "the certificate's file holds a private key too")
}

func checkOrder(chain []*x509.Certificate) error {
	for i, cert := range chain[1:] {
		below := chain[i]
		if !bytes.Equal(below.RawIssuer, cert.RawSubject) {
			return fault.Usage(orderHint, "the chain is in the wrong order: certificate %d (%s) did not issue certificate %d (%s)", i+2, cert.Subject, i+1, below.Subject)
		}
		if err := below.CheckSignatureFrom(cert); err != nil {
			return fault.Usage("get the chain anew from whoever issued it", "certificate %d (%s) did not sign certificate %d: %w", i+2, cert.Subject, i+1, err)
		}
	}
	return nil
}

func checkDates(chain []*x509.Certificate, now time.Time) error {
	for i, cert := range chain {
		if i > 0 && selfIssued(cert) {
			continue // a root in the chain: clients judge by their own copy
		}
		switch {
		case now.After(cert.NotAfter):
			return fault.Usage("get a new one; or set this machine's clock, if that is wrong", "the certificate %s expired on %s", cert.Subject, Stamp(cert.NotAfter))
		case now.Before(cert.NotBefore):
			return fault.Usage("set this machine's clock, or wait", "the certificate %s is not valid before %s, and it is %s here", cert.Subject, Stamp(cert.NotBefore), Stamp(now))
		}
	}
	return nil
}

// checkUse holds the chain against what Go's verifier, Docker's, refuses whatever
// the names are.
func checkUse(chain []*x509.Certificate) error {
	leaf := chain[0]
	server := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny }
	if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, server) {
		return fault.Usage("have it issued with extendedKeyUsage=serverAuth", "the certificate %s is not meant for servers", leaf.Subject)
	}
	for _, cert := range chain {
		weak := cert.SignatureAlgorithm == x509.SHA1WithRSA || cert.SignatureAlgorithm == x509.ECDSAWithSHA1 || cert.SignatureAlgorithm == x509.MD5WithRSA
		if weak && !selfIssued(cert) {
			return fault.Usage("have it issued anew with SHA-256", "the certificate %s is signed with %s, which Docker refuses", cert.Subject, cert.SignatureAlgorithm)
		}
	}
	return nil
}

func checkNames(leaf *x509.Certificate, hosts []string) error {
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		return fault.Usage("make one with names: openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout KEY -out CERT -subj '/CN=private registry' -addext subjectAltName="+
			sanOf(hosts)+"; --tls selfsigned does all of that by itself",
			"the certificate has no subject alternative name, only the common name %q: Docker refuses that since Go 1.15", leaf.Subject.CommonName)
	}
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			covers := Info{DNSNames: leaf.DNSNames, IPs: leaf.IPAddresses}.SANs()
			return fault.Usage("have it issued for "+sanOf(hosts)+", or give only names that it has with --host",
				"the certificate does not cover %s, only %s", host, strings.Join(covers, ", "))
		}
	}
	return nil
}

// sanOf writes hosts as openssl's subjectAltName takes them.
func sanOf(hosts []string) string {
	var names []string
	for _, host := range hosts {
		kind := "DNS:"
		if isIP(host) {
			kind = "IP:"
		}
		names = append(names, kind+host)
	}
	return strings.Join(names, ",")
}

func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawIssuer, cert.RawSubject) }
