package embeddedregistry

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
)

// acmeProtocol is what a validator of tls-alpn-01 offers, and nothing besides (RFC
// 8737, 3). No request can follow: net/http closes a connection whose protocol it
// does not know.
const acmeProtocol = "acme-tls/1"

// maxChallenge is more than a certificate and a key need.
const maxChallenge = 64 << 10

// answerACME makes a registry answer tls-alpn-01 with what lies in a folder: a file
// a server name, certificate and key in PEM, looked at in each such handshake and in
// no other. Where there is none, the handshake fails for want of a common protocol.
func answerACME(t *tls.Config, folder string) {
	t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmeProtocol {
			return nil, nil
		}
		name := strings.ToLower(hello.ServerName)
		if !isServerName(name) {
			return nil, nil
		}
		path := filepath.Join(folder, name)
		data, err := readAtMost(path, maxChallenge)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		var pair tls.Certificate
		if err == nil {
			pair, err = tls.X509KeyPair(data, data)
		}
		if err != nil {
			logrus.Errorf("%s: %v", path, err)
			return nil, nil
		}
		return &tls.Config{
			MinVersion:             tls.VersionTLS12, // RFC 8737, 3
			NextProtos:             []string{acmeProtocol},
			Certificates:           []tls.Certificate{pair},
			SessionTicketsDisabled: true,
		}, nil
	}
}

// isServerName keeps a client from naming files elsewhere.
func isServerName(name string) bool {
	if name == "" || len(name) > 253 || name[0] == '.' {
		return false
	}
	for _, c := range name {
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
		if !letter {
			return false
		}
	}
	return true
}
