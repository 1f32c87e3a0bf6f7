package embeddedregistry

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/internal/fault"
)

// tlsVersions are distribution's names; nothing means the first.
var tlsVersions = map[string]uint16{
	"":       tls.VersionTLS12,
	"tls1.2": tls.VersionTLS12,
	"tls1.3": tls.VersionTLS13,
}

// defaultCipherSuites are distribution's for TLS 1.2: ephemeral keys and AEAD alone.
var defaultCipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}

var clientAuthTypes = map[configuration.ClientAuth]tls.ClientAuthType{
	"": tls.RequireAndVerifyClientCert,
	configuration.ClientAuthRequestClientCert:          tls.RequestClientCert,
	configuration.ClientAuthRequireAnyClientCert:       tls.RequireAnyClientCert,
	configuration.ClientAuthVerifyClientCertIfGiven:    tls.VerifyClientCertIfGiven,
	configuration.ClientAuthRequireAndVerifyClientCert: tls.RequireAndVerifyClientCert,
}

// newTLS returns nil for a registry over plain HTTP. c has passed checkHTTP. ctl is
// where a running registry is told things, "" for nowhere.
func newTLS(c configuration.TLS, ctl string) (*tls.Config, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	pair, err := newKeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fault.Fail("check http.tls.certificate and key", "%w", err)
	}
	t := &tls.Config{
		MinVersion:     tlsVersions[c.MinimumTLS],
		GetCertificate: pair.get,
		CipherSuites:   defaultCipherSuites,
	}
	if ctl != "" {
		answerACME(t, filepath.Join(ctl, "acme"))
	}
	if len(c.CipherSuites) > 0 {
		if t.MinVersion > tls.VersionTLS12 {
			logrus.Warn("http.tls.ciphersuites: has no effect, TLS 1.3 has its own")
		}
		known := cipherSuites()
		t.CipherSuites = nil
		for _, name := range c.CipherSuites {
			t.CipherSuites = append(t.CipherSuites, known[name])
		}
	}
	if len(c.ClientCAs) > 0 {
		t.ClientAuth = clientAuthTypes[c.ClientAuth]
		t.ClientCAs = x509.NewCertPool()
		for _, path := range c.ClientCAs {
			pem, err := os.ReadFile(path)
			if err != nil {
				return nil, fault.Fail("", "http.tls.clientcas: %w", err)
			}
			if !t.ClientCAs.AppendCertsFromPEM(pem) {
				return nil, fault.Fail("", "http.tls.clientcas: %s holds no certificate", path)
			}
		}
	}
	return t, nil
}
