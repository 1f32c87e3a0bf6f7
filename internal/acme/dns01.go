package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"github.com/go-acme/lego/v4/challenge/dns01"

	"github.com/regctl/regctl/internal/acme/dnsprovider"
	"github.com/regctl/regctl/internal/fault"
)

// deafTime is how long we try to ask name servers that cannot be reached from here,
// as behind a firewall that lets no DNS out: the CA looks from elsewhere.
const deafTime = 20 * time.Second

// dnsRecords answers dns-01 with the help of whoever has the zone.
type dnsRecords struct {
	s        *session
	provider dnsprovider.Provider
}

func newDNSRecords(s *session) (*dnsRecords, error) {
	c := s.o.Challenge.DNS
	if len(c.Resolvers) > 0 {
		// lego follows CNAMEs and finds zones by resolvers that belong to the process.
		_ = dns01.AddRecursiveNameservers(c.Resolvers)(nil)
	}
	provider, err := dnsprovider.New(s.ctx, c.Provider, c.Credentials)
	return &dnsRecords{s, provider}, err
}

func (d *dnsRecords) present(_ context.Context, name, token, keyAuth string) error {
	d.s.say(fmt.Sprintf("%s: setting a TXT record (%s)", name, d.s.o.Challenge.DNS.Provider))
	if err := d.provider.Present(name, token, keyAuth); err != nil {
		return d.fault(name, err)
	}
	return nil
}

func (d *dnsRecords) fault(name string, err error) error {
	return fault.Fail("check the credentials file, and that they may change the zone", "%s: the DNS provider %s did not set the record: %w",
		name, d.s.o.Challenge.DNS.Provider, oneLine(err))
}

func (d *dnsRecords) cleanUp(_ context.Context, name, token, keyAuth string) error {
	if err := d.provider.CleanUp(name, token, keyAuth); err != nil {
		return oneLine(err)
	}
	return nil
}

func (d *dnsRecords) close() error { return nil }

// ready waits until the zone's servers show the record, for as long as the provider
// is known to need.
func (d *dnsRecords) ready(ctx context.Context, authz legoacme.Authorization) error {
	d.s.say(authz.Identifier.Value + ": waiting for the TXT record to be seen")
	look := lookFor{ctx: ctx, resolvers: d.s.o.Challenge.DNS.Resolvers}
	seen := false
	found := func(*api.Core, string, legoacme.Challenge) error {
		seen = true
		return nil
	}
	challenge := dns01.NewChallenge(d.s.core, found, d.provider, dns01.WrapPreCheck(look.once))
	err := challenge.Solve(authz)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case seen && look.deaf:
		d.s.say("warning: " + authz.Identifier.Value + ": its name servers cannot be asked from here, so the record may be too young")
		return nil
	case seen:
		return nil
	}
	hint := "see with `dig TXT _acme-challenge." + authz.Identifier.Value + "` whether it comes later, and try again"
	if variable := dnsprovider.TimeoutVariable(d.s.o.Challenge.DNS.Provider); variable != "" {
		hint += " with " + variable + "=600 in the credentials file"
	}
	return fault.Fail(hint, "the TXT record was set, but the name servers do not show it: %w", oneLine(err))
}

// lookFor asks for one record, again and again.
type lookFor struct {
	ctx       context.Context
	resolvers []string
	since     time.Time // of the first of a row of looks that nobody answered
	deaf      bool      // nobody could be asked, and that is all there is to know
}

// once is dns01.WrapPreCheckFunc: a true first result ends the waiting.
func (l *lookFor) once(_, fqdn, value string, ask dns01.PreCheckFunc) (bool, error) {
	if err := l.ctx.Err(); err != nil {
		return true, err
	}
	var found bool
	var err error
	if len(l.resolvers) > 0 {
		found, err = l.askResolvers(fqdn, value)
	} else {
		found, err = ask(fqdn, value)
	}
	var unreachable net.Error
	switch {
	case err == nil || !errors.As(err, &unreachable) || isNoSuchHost(err):
		l.since = time.Time{}
	case l.since.IsZero():
		l.since = time.Now()
	case time.Since(l.since) > deafTime:
		l.deaf = true
		return true, nil
	}
	return found && err == nil, err
}

func (l *lookFor) askResolvers(fqdn, value string) (bool, error) {
	for _, addr := range l.resolvers {
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		values, err := resolver.LookupTXT(l.ctx, fqdn)
		if err != nil {
			return false, err
		}
		if !slices.Contains(values, value) {
			return false, fmt.Errorf("%s knows of another record only", addr)
		}
	}
	return true, nil
}

// oneLine joins the lines that libraries make.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
