package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/fault"
)

// errorNamespace begins the types of RFC 8555, 6.7.
const errorNamespace = "urn:ietf:params:acme:error:"

func kindOf(p *legoacme.ProblemDetails) string { return strings.TrimPrefix(p.Type, errorNamespace) }

// isProblem tells whether err is a problem document of one of these types.
func isProblem(err error, types ...string) bool {
	p := problemIn(err)
	return p != nil && slices.Contains(types, kindOf(p))
}

// problemIn looks through lego's own kinds of error too.
func problemIn(err error) *legoacme.ProblemDetails {
	var p *legoacme.ProblemDetails
	if errors.As(err, &p) {
		return p
	}
	return nil
}

func isTLSFault(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &verification) || errors.As(err, &record)
}

func isNoSuchHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// explain makes of what went wrong one line and what to do next. What we said
// ourselves is left as it is.
func (s *session) explain(err error) error {
	if err != nil && s.ctx.Err() != nil {
		return fmt.Errorf("%s: %w", s.host(), context.Cause(s.ctx))
	}
	if err == nil || fault.Hint(err) != "" || fault.IsUsage(err) {
		return err
	}
	if known := s.explainKnown(err); known != nil {
		return known
	}
	// The library that signs loses the kind of error that fetching a nonce ends with.
	if failed := s.wire.failed(); failed != nil {
		if known := s.explainKnown(failed); known != nil {
			return known
		}
	}
	return fault.Fail("check that --acme-server is an ACME directory; if it is, try again later", "%s does not talk as an ACME server: %w", s.host(), oneLine(err))
}

// explainKnown is nil for a kind of error that says nothing by itself.
func (s *session) explainKnown(err error) error {
	if p := problemIn(err); p != nil {
		return s.explainProblem(err, p)
	}
	var verification *tls.CertificateVerificationError
	var quiet silence
	var late silentFor
	var dns *net.DNSError
	var strange odd
	var network *net.OpError
	var slow net.Error // also a handshake that is not answered
	switch {
	case errors.As(err, &verification):
		return s.explainTLS(verification)
	case errors.As(err, &quiet):
		return fault.Fail("try again; if it stays silent, look whether this machine reaches it: curl -v "+s.o.directory(), "%s: %w", s.host(), quiet)
	case errors.As(err, &late):
		return fault.Fail("try again in a few minutes", "%s: %w", s.host(), late)
	case errors.As(err, &strange):
		return fault.Fail("check that --acme-server is an ACME directory; if it is, try again later", "%s: %w", s.about(err), strange)
	case errors.As(err, &dns):
		return fault.Fail("check --acme-server and this machine's DNS", "%s: %w", s.host(), dns)
	case errors.As(err, &network), errors.As(err, &slow) && slow.Timeout(), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Fail("look whether this machine reaches it: curl -v "+s.o.directory(), "%s does not answer: %w", s.host(), cause(err))
	}
	return nil
}

// cause leaves out the request that failed, which lego names several times.
func cause(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// about is the CA's name, with that of the host that it is about before it.
func (s *session) about(err error) string {
	if name := nameOf(err); name != "" {
		return name + ": " + s.host()
	}
	return s.host()
}

func (s *session) explainTLS(err *tls.CertificateVerificationError) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fault.Fail("give the CA's root certificate with --acme-ca FILE", "%s: its certificate is signed by nobody whom this machine trusts", s.host())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.Fail("set this machine's clock, if that is wrong", "%s: its certificate is not valid at this machine's time, %s: %w", s.host(), stamp(time.Now()), err.Err)
	}
	return fault.Fail("check --acme-server", "%s: %w", s.host(), err)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// explainProblem names what the CA says and about which name.
func (s *session) explainProblem(err error, p *legoacme.ProblemDetails) error {
	kind, name := kindOf(p), nameOf(err)
	said := p.Detail
	for _, sub := range p.SubProblems {
		said += fmt.Sprintf("; %s: %s", sub.Identifier.Value, sub.Detail)
		if name == "" {
			kind, name = strings.TrimPrefix(sub.Type, errorNamespace), sub.Identifier.Value
		}
	}
	who := s.about(err)
	if kind == "" {
		kind = http.StatusText(p.HTTPStatus)
	}
	said = fmt.Sprintf("%s (%s)", strings.TrimSuffix(oneLine(errors.New(said)).Error(), "."), kind)
	var a about
	if errors.As(err, &a) && len(a.others) > 0 {
		said += "; likewise " + strings.Join(a.others, ", ")
	}
	return fault.Fail(s.hint(kind, name, p), "%s: %s", who, said)
}

func nameOf(err error) string {
	var a about
	if errors.As(err, &a) {
		return a.name
	}
	return ""
}

// hint says what mends a problem of RFC 8555, 6.7, and of the drafts that Let's
// Encrypt follows. name is the one that it is about, "" for none in particular.
func (s *session) hint(kind, name string, p *legoacme.ProblemDetails) string {
	switch kind {
	case "unauthorized", "incorrectResponse", "connection", "tls", "dns", "malformed":
		if name != "" {
			return s.reachHint(kind, name)
		}
	case "caa":
		return s.caaHint(name)
	case "rejectedIdentifier":
		return "this CA signs no such name; use --tls selfsigned for it, or another CA with --acme-server"
	case "unsupportedIdentifier":
		return "leave the address out of --host, or ask for a profile that has addresses: with Let's Encrypt, --profile shortlived"
	case "invalidProfile":
		return "choose one that the directory offers with --profile"
	case "badCSR", "badPublicKey", "badSignatureAlgorithm":
		return "choose another kind of key with --key-type: every CA takes ecdsa256 and rsa2048"
	case "externalAccountRequired":
		return "take both from your account there: --eab-kid KID --eab-hmac-file FILE"
	case "userActionRequired":
		return "open " + or(p.Instance, or(s.terms(), s.o.directory())) + ", do what it asks for, then try again with --accept-tos"
	case "invalidContact", "unsupportedContact":
		return "give an address that receives mail with --email"
	case "accountDoesNotExist":
		return "remove the file of ACME accounts: a new account is made then"
	case "rateLimited", http.StatusText(http.StatusTooManyRequests):
		return s.limitHint()
	}
	if p.HTTPStatus >= http.StatusInternalServerError || kind == "serverInternal" {
		return "the CA is in trouble, not you: try again " + s.later("in an hour")
	}
	return "the CA's answer is all there is to know; try again, or use another CA with --acme-server"
}

// terms is the URL of the CA's terms, "" if it has none.
func (s *session) terms() string {
	if s.core == nil {
		return ""
	}
	return s.core.GetDirectory().Meta.TermsOfService
}

func (s *session) limitHint() string {
	hint := "try again " + s.later("when the CA says so")
	if s.isProduction() {
		hint += "; until then, try things out with --staging (https://letsencrypt.org/docs/rate-limits/)"
	}
	return hint
}

func (s *session) isProduction() bool { return s.o.directory() == LetsEncrypt }

func (s *session) later(otherwise string) string {
	if asked := s.wire.asked(); asked > 0 {
		return "after " + stamp(time.Now().Add(asked))
	}
	return otherwise
}

// reachHint is what to look at when the CA did not find the challenge's answer.
func (s *session) reachHint(kind, name string) string {
	if kind == "dns" && s.o.Challenge.Kind != DNS01 {
		return "give " + name + " an A or AAAA record that the internet sees: dig " + name
	}
	switch s.o.Challenge.Kind {
	case HTTP01:
		return "port 80 of " + name + " must lead to this machine: check its A and AAAA records, the firewall and what else listens there; or use --challenge dns-01"
	case TLSALPN01:
		return "port 443 of " + name + " must lead to the registry with nothing in between that ends TLS; or use --challenge http-01 or dns-01"
	}
	return "the internet must see the TXT record _acme-challenge." + strings.TrimPrefix(name, "*.") + ": check that the DNS provider's zone is the one in use"
}

func (s *session) caaHint(name string) string {
	ca := s.host()
	if s.core != nil {
		if ids := s.core.GetDirectory().Meta.CaaIdentities; len(ids) > 0 {
			ca = ids[0]
		}
	}
	name = strings.TrimPrefix(or(name, s.o.Names[0]), "*.")
	return fmt.Sprintf("the CAA record of %s or a domain above forbids this CA: add `%s. CAA 0 issue %q`", name, name, ca)
}

// profileFault refuses a profile that the directory does not have.
func profileFault(o Options, host string, offered map[string]string) error {
	if o.Profile == "" {
		return nil
	}
	if _, ok := offered[o.Profile]; ok {
		return nil
	}
	if len(offered) == 0 {
		return fault.Usage("leave --profile out", "%s offers no profiles", host)
	}
	var names []string
	for name := range offered {
		names = append(names, name)
	}
	slices.Sort(names)
	return fault.Usage("--profile takes "+strings.Join(names, ", "), "%s offers no profile %q", host, o.Profile)
}
