package acme

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// lookTime is how long one address may take to answer, a redirect included.
const lookTime = 5 * time.Second

// acmeIdentifier marks the answer to tls-alpn-01 in a certificate (RFC 8737, 6.1).
var acmeIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// reach is how a validator's way is tried; tests have another internet.
type reach struct {
	lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	dial   func(ctx context.Context, addr netip.Addr, port int) (net.Conn, error)
}

func (r *reach) orReal() *reach {
	if r != nil {
		return r
	}
	return &reach{
		lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
		dial: func(ctx context.Context, addr netip.Addr, port int) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(addr, uint16(port)).String())
		},
	}
}

// wrongAnswer is somebody else's.
type wrongAnswer struct{ what string }

func (w wrongAnswer) Error() string { return w.what }

// checkReach tries the way that a validator takes to each name. dns-01 needs none.
func (s *session) checkReach() (found []Finding) {
	if s.o.Challenge.Kind == DNS01 {
		return nil
	}
	proof, err := s.newProof()
	if err != nil {
		return []Finding{{true, err}}
	}
	token, keyAuth := "regctl-"+rand.Text(), rand.Text()
	var begun []string
	defer func() {
		for _, name := range begun {
			_ = proof.cleanUp(s.ctx, name, token, keyAuth)
		}
		_ = proof.close()
	}()
	for _, name := range s.o.Names {
		begun = append(begun, name)
		if err := proof.present(s.ctx, name, token, keyAuth); err != nil {
			return []Finding{{true, s.explain(err)}}
		}
	}
	for _, name := range s.o.Names {
		if fatal, err := s.tryName(name, token, keyAuth); err != nil {
			found = append(found, Finding{fatal && s.o.isLetsEncrypt(), err})
		}
	}
	return found
}

// tryName asks each address of a name: a CA may take any.
func (s *session) tryName(name, token, keyAuth string) (fatal bool, err error) {
	addrs, err := s.addresses(name)
	if err != nil {
		return isNoSuchHost(err), fault.Fail(s.reachHint("dns", name), "%s: %w", name, err)
	}
	var silent []string
	for _, addr := range addrs {
		err := s.tryAddress(name, addr, token, keyAuth)
		var wrong wrongAnswer
		if errors.As(err, &wrong) {
			return true, fault.Fail(s.reachHint("", name), "%s leads to %s, and another answers there: %w", name, addr, wrong)
		}
		if err != nil {
			silent = append(silent, fmt.Sprintf("%s (%v)", addr, reason(err)))
		}
	}
	if len(silent) > 0 {
		return false, fault.Fail("if it is reachable from outside, go on; otherwise "+s.reachHint("", name),
			"%s does not answer from here at %s", name, strings.Join(silent, ", "))
	}
	if !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsLoopback() }) && s.o.isLetsEncrypt() {
		return false, fault.Fail("check it from another machine: dig "+name, "%s leads to this machine itself here (/etc/hosts), which tells nothing about outside", name)
	}
	return false, nil
}

func (s *session) addresses(name string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{addr}, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookTime)
	defer cancel()
	addrs, err := s.o.reach.orReal().lookup(ctx, name)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// reason is what is new in an error that names the address.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (s *session) tryAddress(name string, addr netip.Addr, token, keyAuth string) error {
	ctx, cancel := context.WithTimeoutCause(s.ctx, lookTime, silence{lookTime})
	defer cancel()
	try := s.tryHTTP
	if s.o.Challenge.Kind == TLSALPN01 {
		try = s.tryTLS
	}
	err := try(ctx, name, addr, token, keyAuth)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// tryHTTP fetches the token; as validators do, it follows redirects and takes any
// certificate on the way.
func (s *session) tryHTTP(ctx context.Context, name string, first netip.Addr, token, keyAuth string) error {
	real := s.o.reach.orReal()
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, hostPort string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(hostPort)
			if err == nil && host == name && port == "80" {
				return real.dial(ctx, first, 80)
			}
			return new(net.Dialer).DialContext(ctx, network, hostPort)
		},
	}
	host := name
	if first.Is6() && host == first.String() {
		host = "[" + host + "]"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+challengePath+token, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(body)) != keyAuth {
		who := or(resp.Header.Get("Server"), "a server without a name")
		return wrongAnswer{fmt.Sprintf("HTTP %s from %s", resp.Status, snippet([]byte(who)))}
	}
	return nil
}

// tryTLS makes a validator's handshake.
func (s *session) tryTLS(ctx context.Context, name string, addr netip.Addr, _, keyAuth string) error {
	sni, err := serverName(name)
	if err != nil {
		return err
	}
	conn, err := s.o.reach.orReal().dial(ctx, addr, 443)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: sni, NextProtos: []string{alpnProtocol}})
	if err := c.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return wrongAnswer{fmt.Sprintf("no handshake for tls-alpn-01: %v", reason(err))}
	}
	want := sha256.Sum256([]byte(keyAuth))
	for _, e := range c.ConnectionState().PeerCertificates[0].Extensions {
		var got []byte
		if !e.Id.Equal(acmeIdentifier) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &got); err == nil && string(got) == string(want[:]) {
			return nil
		}
	}
	return wrongAnswer{"a certificate that is not the registry's answer"}
}
