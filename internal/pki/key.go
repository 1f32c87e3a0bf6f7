package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// KeyTypes are the kinds of key that can be made, the default first.
func KeyTypes() []string {
	return []string{"ecdsa256", "ecdsa384", "rsa2048", "rsa4096", "ed25519"}
}

// NewKey makes a key of one of KeyTypes, "" being the first, and its PEM (PKCS#8).
func NewKey(kind string) (key crypto.Signer, keyPEM []byte, err error) {
	if key, err = newKey(kind); err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return key, keyPEM, err
}

// ParseKey reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC 1.
func ParseKey(data []byte) (crypto.Signer, error) { return parseKey(data) }

func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "", "ecdsa256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fault.Usage("--key-type takes "+strings.Join(KeyTypes(), ", "), "unknown key type %q", kind)
}

// keyType is the name of a public key's kind, in KeyTypes where it is one of them.
func keyType(public any) string {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa%d", k.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", k.N.BitLen())
	case ed25519.PublicKey:
		return "ed25519"
	}
	return "unknown"
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC 1.
func parseKey(data []byte) (crypto.Signer, error) {
	block := keyBlock(data)
	if block == nil {
		return nil, noKey()
	}
	return parseKeyBlock(block)
}

func noKey() error {
	return fault.Usage("the key must be PEM: a block that begins with -----BEGIN PRIVATE KEY-----", "the key file holds no private key in PEM")
}

func notSigning() error {
	return fault.Usage("give an RSA, ECDSA or Ed25519 key in PEM", "the private key cannot sign")
}

func parseKeyBlock(block *pem.Block) (crypto.Signer, error) {
	if encrypted(block) {
		return nil, fault.Usage("write it without one: openssl pkey -in KEY -out PLAIN-KEY", "the private key is encrypted with a passphrase")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fault.Usage("give an RSA, ECDSA or Ed25519 key in PEM", "%s is a kind of private key that TLS has no use for", block.Type)
	}
	if err != nil {
		return nil, fault.Usage("check it: openssl pkey -noout -in KEY", "the private key does not parse: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, notSigning()
	}
	return signer, nil
}

func samePublicKey(a, b any) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// publicKeyBits is the BIT STRING of a key's SubjectPublicKeyInfo.
func publicKeyBits(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	return info.Key.Bytes, nil
}

// holdsKey reports whether a PEM file has a private key in it.
func holdsKey(data []byte) bool { return bytes.Contains(data, []byte("PRIVATE KEY-----")) }
