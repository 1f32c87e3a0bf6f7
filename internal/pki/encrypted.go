package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/youmark/pkcs8"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Encrypted reports whether the private key of a PEM file needs a passphrase.
func Encrypted(keyPEM []byte) bool {
	block := keyBlock(keyPEM)
	return block != nil && encrypted(block)
}

// encrypted knows PKCS#8 (RFC 5958) and the older way of RFC 1421, section 4.6.
func encrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}

// Decrypt gives the private key of a PEM file without its passphrase, as PKCS#8. A
// passphrase that does not open it is a usage fault. The old way tells a wrong
// passphrase from a right one by chance only: once in some 256 times the fault is
// that the key does not parse.
func Decrypt(keyPEM []byte, passphrase secret.String) ([]byte, error) {
	block := keyBlock(keyPEM)
	if block == nil {
		return nil, noKey()
	}
	var key any
	var err error
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		key, _, err = pkcs8.ParsePrivateKey(block.Bytes, []byte(passphrase.Reveal()))
	} else {
		key, err = decryptOld(block, passphrase)
	}
	switch {
	case err == nil:
	case block.Type == "ENCRYPTED PRIVATE KEY" && !strings.Contains(err.Error(), "incorrect password"):
		return nil, fault.Usage("write it without one: openssl pkey -in KEY -out PLAIN-KEY", "the private key is encrypted in a way that is not known here: %w", err)
	default:
		return nil, fault.Usage("try again; openssl pkey -in KEY -noout asks for the same one", "the passphrase does not open the private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, notSigning()
	}
	return encodeKey(signer)
}

func decryptOld(block *pem.Block, passphrase secret.String) (crypto.Signer, error) {
	der, err := x509.DecryptPEMBlock(block, []byte(passphrase.Reveal())) //nolint:staticcheck // weak as it is, openssl still writes it
	if err != nil {
		return nil, err
	}
	return parseKeyBlock(&pem.Block{Type: block.Type, Bytes: der})
}

// keyBlock is the first private key of a PEM file, or nil.
func keyBlock(data []byte) *pem.Block {
	for {
		block, rest := pem.Decode(data)
		if block == nil || strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
		data = rest
	}
}
