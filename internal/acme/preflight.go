package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/fault"
)

// Let's Encrypt starts certificates an hour ago: a clock further behind makes them
// look too new.
const (
	clockOff   = 5 * time.Minute
	clockWrong = time.Hour
)

// Finding is what stands in an order's way, or may.
type Finding struct {
	// Fatal is one that the order would fail for; another is a warning.
	Fatal bool
	// Err is one line; fault.Hint has what mends it.
	Err error
}

// Preflight looks for what would make Obtain fail, before the CA counts it: the
// directory, the clock, terms, binding and profile, the challenge's port, and whether
// each name leads here, by asking it for a random token as a validator would. A wrong
// answer or a name that does not resolve is fatal; no answer is a warning, because
// many networks do not let a machine see itself from outside. With a directory other
// than Let's Encrypt's, whose validators may see other names and ports than we do,
// whatever comes of that is a warning. None at all means that nothing was found.
func Preflight(ctx context.Context, o Options) []Finding {
	if err := Check(o); err != nil {
		return []Finding{{true, err}}
	}
	s, err := connect(ctx, o)
	if err != nil {
		return []Finding{{true, err}}
	}
	defer s.close()
	return append(s.checkCA(), s.checkReach()...)
}

func (s *session) checkCA() (found []Finding) {
	var directory legoacme.Directory
	header, err := s.get(s.o.directory(), &directory)
	if err == nil && directory.NewOrderURL == "" {
		err = odd{s.o.directory() + " is no ACME directory"}
	}
	if err != nil {
		if date, ok := s.dateOf(err); ok {
			return s.checkClock(date)
		}
		return []Finding{{true, s.explain(err)}}
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		found = append(found, s.checkClock(date)...)
	}
	fatal := func(err error) {
		if err != nil {
			found = append(found, Finding{true, err})
		}
	}
	if ours, known := s.book[s.o.directory()]; !known || ours.URI == "" {
		if directory.Meta.TermsOfService != "" && !s.o.AcceptTOS {
			fatal(s.termsFault(directory.Meta.TermsOfService))
		}
		if directory.Meta.ExternalAccountRequired && s.o.EAB.KID == "" {
			fatal(s.bindingFault())
		}
	}
	fatal(profileFault(s.o, s.host(), directory.Meta.Profiles))
	fatal(addressFault(s.o))
	return found
}

// addressFault knows of Let's Encrypt what its directory does not say.
func addressFault(o Options) error {
	const profile = "shortlived"
	isIP := func(name string) bool { _, err := netip.ParseAddr(name); return err == nil }
	if i := slices.IndexFunc(o.Names, isIP); i >= 0 && o.isLetsEncrypt() && o.Profile != profile {
		return fault.Usage("add --profile "+profile+" (six days, renewed by itself), or leave the address out of --host",
			"%s: Let's Encrypt signs addresses in its profile %s alone", o.Names[i], profile)
	}
	return nil
}

func (s *session) checkClock(date time.Time) []Finding {
	now := time.Now()
	off := now.Sub(date).Abs()
	if off < clockOff {
		return nil
	}
	return []Finding{{off >= clockWrong, fault.Fail("set this machine's clock: timedatectl set-ntp true",
		"this machine's clock says %s, that of %s %s", stamp(now), s.host(), stamp(date))}}
}

// dateOf asks again without looking at the certificate, where that is out of date by
// our clock, for the time alone. What is learnt thus is shown and used for nothing.
func (s *session) dateOf(err error) (time.Time, bool) {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return time.Time{}, false
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.o.directory(), nil)
	if err != nil {
		return time.Time{}, false
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return time.Time{}, false
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	return date, err == nil && time.Until(date).Abs() >= clockWrong
}
