package acme

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/pki"
)

// Where a due date comes from.
const (
	FromCA       = "the CA's renewal information"
	FromLifetime = "two thirds of the lifetime"
)

// DueDate is when a certificate should be renewed.
type DueDate struct {
	At     time.Time
	Source string // FromCA or FromLifetime
	// AskAgain is when the CA wants to be asked again; zero if it does not say.
	AskAgain time.Time
	// Explanation is a page of the CA's that says why it is earlier than usual.
	Explanation string
	// Fallback says why the CA was not asked or not believed; nil if it was.
	Fallback error
}

// Due tells when a leaf (PEM) should be renewed. A CA that has renewal information
// (RFC 9773) says so: the moment within its window is the same each time, chosen by
// the certificate itself. Otherwise, and when the CA cannot be asked, it is the end
// of two thirds of its lifetime. It needs Directory and CA, and no account. An error
// means that the leaf does not parse.
func Due(ctx context.Context, o Options, leafPEM []byte) (DueDate, error) {
	info, err := pki.Inspect(leafPEM)
	if err != nil {
		return DueDate{}, err
	}
	due := DueDate{At: info.RenewAfter(), Source: FromLifetime}
	s, err := connect(ctx, o)
	if err != nil {
		due.Fallback = err
		return due, nil
	}
	defer s.close()
	leaf := parseLeaf(leafPEM)
	told, err := s.renewalInfo(leaf)
	switch {
	case err != nil:
		due.Fallback = s.explain(err)
	case told == nil:
		due.Fallback = fmt.Errorf("%s has no renewal information", s.host())
	default:
		due.At, due.Source = moment(leaf, told.SuggestedWindow.Start, told.SuggestedWindow.End), FromCA
		due.Explanation = told.ExplanationURL
		if asked := s.wire.asked(); asked > 0 {
			due.AskAgain = time.Now().Add(asked).Truncate(time.Second)
		}
	}
	return due, nil
}

// renewalInfo is nil where the CA has none.
func (s *session) renewalInfo(leaf *x509.Certificate) (*legoacme.RenewalInfoResponse, error) {
	var directory legoacme.Directory
	if _, err := s.get(s.o.directory(), &directory); err != nil {
		return nil, err
	}
	if directory.NewOrderURL == "" {
		return nil, odd{s.o.directory() + " is no ACME directory"}
	}
	if directory.RenewalInfo == "" {
		return nil, nil
	}
	var told legoacme.RenewalInfoResponse
	if _, err := s.get(strings.TrimSuffix(directory.RenewalInfo, "/")+"/"+renewalID(leaf), &told); err != nil {
		return nil, err
	}
	start, end := told.SuggestedWindow.Start, told.SuggestedWindow.End
	if start.IsZero() || !end.After(start) || start.After(leaf.NotAfter) {
		return nil, odd{fmt.Sprintf("its renewal window, %s to %s, makes no sense", stamp(start), stamp(end))}
	}
	return &told, nil
}

// get asks for what needs no account.
func (s *session) get(url string, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := s.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p := &legoacme.ProblemDetails{HTTPStatus: resp.StatusCode}
		if err := json.NewDecoder(resp.Body).Decode(p); err != nil {
			return nil, err
		}
		return nil, p
	}
	return resp.Header, json.NewDecoder(resp.Body).Decode(into)
}

// renewalID names a certificate to the CA (RFC 9773, 4.1).
func renewalID(leaf *x509.Certificate) string {
	der, err := asn1.Marshal(leaf.SerialNumber)
	if err != nil {
		panic(err) // a number
	}
	var serial asn1.RawValue
	if _, err := asn1.Unmarshal(der, &serial); err != nil {
		panic(err) // what was just made
	}
	return base64.RawURLEncoding.EncodeToString(leaf.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(serial.Bytes)
}

// moment spreads certificates over their windows, evenly, and each always at the
// same place.
func moment(leaf *x509.Certificate, start, end time.Time) time.Time {
	sum := sha256.Sum256(leaf.Raw)
	part := float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
	return start.Add(time.Duration(part * float64(end.Sub(start)))).Truncate(time.Second)
}
