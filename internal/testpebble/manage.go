package testpebble

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
)

// SetTXT adds a TXT record to a name. It needs the challenge test server, as all
// that is about names does.
func (s *Server) SetTXT(name, value string) {
	s.t.Helper()
	s.call(http.MethodPost, s.Names+"/set-txt", map[string]string{"host": name, "value": value})
}

// ClearTXT removes a name's TXT records.
func (s *Server) ClearTXT(name string) {
	s.t.Helper()
	s.call(http.MethodPost, s.Names+"/clear-txt", map[string]string{"host": name})
}

// SetAddress gives a name another address than Addr.
func (s *Server) SetAddress(name, address string) {
	s.t.Helper()
	s.call(http.MethodPost, s.Names+"/add-a", map[string]any{"host": name, "addresses": []string{address}})
}

// NoSuchNames makes every name that SetAddress was not told of have no address.
func (s *Server) NoSuchNames() {
	s.t.Helper()
	s.call(http.MethodPost, s.Names+"/set-default-ipv4", map[string]string{"ip": ""})
}

// Root is the root that the n-th chain of each certificate ends in, PEM.
func (s *Server) Root(n int) []byte {
	s.t.Helper()
	return s.call(http.MethodGet, s.management+"/roots/"+strconv.Itoa(n), nil)
}

// Status is what the CA says of a certificate: Valid or Revoked.
func (s *Server) Status(serial *big.Int) string {
	s.t.Helper()
	var answer struct{ Status string }
	data := s.call(http.MethodGet, s.management+"/cert-status-by-serial/"+hex.EncodeToString(serial.Bytes()), nil)
	if err := json.Unmarshal(data, &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer.Status
}

// SetRenewalInfo makes the CA answer with that text when it is asked when a
// certificate is due (RFC 9773).
func (s *Server) SetRenewalInfo(certPEM []byte, answer string) {
	s.t.Helper()
	s.call(http.MethodPost, s.management+"/set-renewal-info/", map[string]string{
		"certificate": string(certPEM), "ariResponse": answer,
	})
}
