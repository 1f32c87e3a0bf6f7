package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// Info is what people ask of a certificate.
type Info struct {
	Subject     string // as RFC 2253 writes it
	Issuer      string
	DNSNames    []string
	IPs         []net.IP
	NotBefore   time.Time
	NotAfter    time.Time
	Serial      string // hex bytes with colons, lower case, as openssl x509 -text prints it
	Fingerprint string // SHA-256 of the certificate, hex with colons, upper case, as openssl x509 -fingerprint -sha256 prints it
	KeyType     string // as Config.KeyType; other sizes and curves by the same pattern
	IsCA        bool
}

// SANs are the names and the addresses, in that order.
func (i Info) SANs() []string {
	all := append([]string{}, i.DNSNames...)
	for _, ip := range i.IPs {
		all = append(all, ip.String())
	}
	return all
}

// RenewAfter is the moment when two thirds of the certificate's life are over.
func (i Info) RenewAfter() time.Time {
	return i.NotBefore.Add(i.NotAfter.Sub(i.NotBefore) / 3 * 2)
}

// Inspect describes the first certificate of a PEM file.
func Inspect(data []byte) (Info, error) {
	cert, err := firstCert(data)
	if err != nil {
		return Info{}, err
	}
	return describe(cert), nil
}

// InspectAll describes every certificate of a PEM file, in order. There is at
// least one.
func InspectAll(data []byte) ([]Info, error) {
	all, err := certs(data)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(all))
	for i, cert := range all {
		infos[i] = describe(cert)
	}
	return infos, nil
}

func describe(cert *x509.Certificate) Info {
	sum := sha256.Sum256(cert.Raw)
	return Info{
		Subject:     cert.Subject.String(),
		Issuer:      cert.Issuer.String(),
		DNSNames:    cert.DNSNames,
		IPs:         cert.IPAddresses,
		NotBefore:   cert.NotBefore,
		NotAfter:    cert.NotAfter,
		Serial:      colons(cert.SerialNumber.Bytes()),
		Fingerprint: strings.ToUpper(colons(sum[:])),
		KeyType:     keyType(cert.PublicKey),
		IsCA:        cert.IsCA,
	}
}

// NeedsRenewal reports whether two thirds of a leaf's life are over. One that
// does not parse needs it too.
func NeedsRenewal(leafPEM []byte, now time.Time) bool {
	info, err := Inspect(leafPEM)
	return err != nil || !now.Before(info.RenewAfter())
}

// certs reads all certificates of a PEM file, in order; there is at least one.
func certs(data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := data; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Usage("check it: openssl x509 -noout -text -in FILE", "certificate %d does not parse: %w", len(all)+1, err)
		}
		all = append(all, cert)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case bytes.HasPrefix(data, []byte{0x30}):
		return nil, fault.Usage("make it PEM: openssl x509 -inform der -in FILE -out FILE.pem", "it is DER or PKCS#12, not PEM")
	default:
		return nil, fault.Usage("it must be PEM: a block that begins with -----BEGIN CERTIFICATE-----", "it holds no certificate in PEM")
	}
}

func firstCert(data []byte) (*x509.Certificate, error) {
	all, err := certs(data)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}
