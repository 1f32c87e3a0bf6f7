package acme

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
)

// orderTime is how long the CA may take from the request to the certificate, and
// validationTime from being told to look to having looked.
const (
	orderTime      = 3 * time.Minute
	validationTime = 5 * time.Minute
)

// obtain is RFC 8555, 7.4, from order to certificate.
func (s *session) obtain(result *Result) error {
	if err := s.checkProfile(); err != nil {
		return err
	}
	key, keyPEM, err := pki.NewKey(s.o.KeyType)
	if err != nil {
		return err
	}
	csr, err := requestFor(s.o.Names, key)
	if err != nil {
		return err
	}
	s.say("ordering a certificate from " + s.host())
	order, err := s.newOrder()
	if err != nil {
		return err
	}
	if err := s.authorize(order); err != nil {
		return err
	}
	if order, err = s.finalize(order, csr); err != nil {
		return err
	}
	chain, err := s.download(order.Certificate)
	if err != nil {
		return err
	}
	if err := pki.CheckPair(chain, keyPEM, s.o.Names, time.Now()); err != nil {
		return fault.Fail(fault.Hint(err), "%s sent a certificate that cannot be used: %w", s.host(), err)
	}
	leaf, rest := pem.Decode(chain)
	result.CertPEM, result.ChainPEM, result.FullchainPEM = pem.EncodeToMemory(leaf), bytes.TrimLeft(rest, "\n"), chain
	result.KeyPEM = keyPEM
	return nil
}

// requestFor asks for exactly these names. It has no common name: clients look at it
// no more, and some profiles refuse it.
func requestFor(names []string, key crypto.Signer) ([]byte, error) {
	var template x509.CertificateRequest
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return x509.CreateCertificateRequest(rand.Reader, &template, key)
}

// newOrder says which certificate this one replaces. What the CA does not know, of
// another CA or account, it may refuse: then it is a new one.
func (s *session) newOrder() (legoacme.ExtendedOrder, error) {
	options := &api.OrderOptions{Profile: s.o.Profile}
	if leaf := parseLeaf(s.o.Replaces); leaf != nil {
		options.ReplacesCertID = renewalID(leaf)
	}
	order, err := s.core.Orders.NewWithOptions(s.o.Names, options)
	var p *legoacme.ProblemDetails
	if options.ReplacesCertID != "" && errors.As(err, &p) && !isProblem(err, "rateLimited", "serverInternal") {
		options.ReplacesCertID = ""
		order, err = s.core.Orders.NewWithOptions(s.o.Names, options)
	}
	if err == nil && order.Location == "" {
		err = odd{s.host() + " did not say where the order is"}
	}
	return order, err
}

func (s *session) finalize(order legoacme.ExtendedOrder, csr []byte) (legoacme.ExtendedOrder, error) {
	location := order.Location
	settled := func() (bool, error) {
		var err error
		if order, err = s.core.Orders.Get(location); err != nil {
			return false, err
		}
		if order.Status == legoacme.StatusInvalid {
			return false, orderFault(order)
		}
		return order.Status != legoacme.StatusPending && order.Status != legoacme.StatusProcessing, nil
	}
	if err := s.poll("the order to be ready", orderTime, settled); err != nil {
		return order, err
	}
	if order.Status == legoacme.StatusReady {
		// An answer that got lost was tried again: the order may be further than we know.
		sent, err := s.core.Orders.UpdateForCSR(order.Finalize, csr)
		if err != nil && !isProblem(err, "orderNotReady") {
			return sent, err
		}
		if err := s.poll("the certificate", orderTime, settled); err != nil {
			return order, err
		}
	}
	if order.Status != legoacme.StatusValid || order.Certificate == "" {
		return order, odd{fmt.Sprintf("the order is %s and has no certificate", order.Status)}
	}
	return order, nil
}

func orderFault(order legoacme.ExtendedOrder) error {
	if err := order.Err(); err != nil {
		return err
	}
	return odd{"the CA gave the order up and does not say why"}
}

// download fetches the chain, one that leads to the preferred root where there is one.
func (s *session) download(url string) ([]byte, error) {
	if s.o.PreferredChain == "" {
		chain, _, err := s.core.Certificates.Get(url, true)
		return chain, err
	}
	all, err := s.core.Certificates.GetAll(url, true)
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, chain := range all {
		root := rootOf(chain.Cert)
		if root == s.o.PreferredChain {
			return chain.Cert, nil
		}
		roots = append(roots, root)
	}
	slices.Sort(roots)
	s.say(fmt.Sprintf("warning: no chain leads to %q, only to %q: the CA's first choice is taken", s.o.PreferredChain, slices.Compact(roots)))
	return all[url].Cert, nil
}

// rootOf is the common name of the root that a chain leads to, "" if it does not parse.
func rootOf(chain []byte) string {
	certs, err := parseAll(chain)
	if err != nil || len(certs) == 0 {
		return ""
	}
	return certs[len(certs)-1].Issuer.CommonName
}

func parseAll(data []byte) (all []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return all, nil
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
}

// parseLeaf is nil if there is none.
func parseLeaf(data []byte) *x509.Certificate {
	certs, err := parseAll(data)
	if err != nil || len(certs) == 0 {
		return nil
	}
	return certs[0]
}

// poll asks until f is done, as often as the CA wants to be asked.
func (s *session) poll(what string, limit time.Duration, f func() (done bool, err error)) error {
	const shortest, longest = 250 * time.Millisecond, 15 * time.Second
	pause := shortest
	for began := time.Now(); ; {
		done, err := f()
		if err != nil || done {
			return err
		}
		pause = min(max(pause*3/2, s.wire.asked()), longest)
		if time.Since(began)+pause > limit {
			return silentFor{what, limit}
		}
		if err := s.o.wait(s.ctx, pause); err != nil {
			return err
		}
	}
}

// silentFor is a CA that answers, but not with what was waited for.
type silentFor struct {
	what  string
	limit time.Duration
}

func (s silentFor) Error() string { return fmt.Sprintf("waited %s for %s", s.limit, s.what) }

// checkProfile refuses one that the directory does not offer, before an order does.
func (s *session) checkProfile() error {
	return profileFault(s.o, s.host(), s.core.GetDirectory().Meta.Profiles)
}

func (s *session) revoke(certPEM, keyPEM []byte) error {
	leaf := parseLeaf(certPEM)
	if leaf == nil {
		return fault.Usage("", "there is no certificate to revoke")
	}
	message := legoacme.RevokeCertMessage{Certificate: base64.RawURLEncoding.EncodeToString(leaf.Raw)}
	by := func(a account) error {
		if err := s.speakAs(a); err != nil {
			return err
		}
		return s.core.Certificates.Revoke(message)
	}
	err := fault.Usage("restore the file of ACME accounts, or give the certificate's key", "nobody here may revoke the certificate")
	if ours := s.book[s.o.directory()]; ours.URI != "" {
		if err = by(ours); isProblem(err, "alreadyRevoked") {
			return nil
		}
		if err == nil || !isProblem(err, "unauthorized", "accountDoesNotExist") {
			return err
		}
	}
	if len(keyPEM) == 0 {
		return err
	}
	if err = by(account{Key: string(keyPEM)}); isProblem(err, "alreadyRevoked") {
		return nil
	}
	return err
}
