package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/miekg/dns"
)

// dynamicUpdate changes a zone by DNS itself (RFC 2136), signed by a key that both
// sides have (RFC 8945). Kerberos, which lego's has too, is left out: it is a
// megabyte.
type dynamicUpdate struct {
	pace
	ctx       context.Context
	server    string
	zones     []string
	key       string // fully qualified; "" signs nothing
	algorithm string
	secret    string
	ttl       uint32
	timeout   time.Duration
}

func rfc2136() kind {
	const prefix = "DNSUPDATE_"
	alias := map[string]string{}
	names := []string{"NAMESERVER", "TSIG_KEY", "TSIG_SECRET", "TSIG_ALGORITHM", "TSIG_FILE", "ZONES", "DNS_TIMEOUT"}
	var also []string
	for _, name := range names {
		also = append(also, prefix+name)
	}
	for _, name := range append(names, timing...) {
		alias["RFC2136_"+name] = prefix + name
	}
	return kind{
		name: "rfc2136", prefix: prefix, alias: alias,
		needs: [][]string{{prefix + "NAMESERVER"}},
		also:  also,
		make: func(ctx context.Context, v *values) (Provider, error) {
			u := &dynamicUpdate{
				pace: v.pace(), ctx: ctx, server: v.get(prefix + "NAMESERVER"),
				key: v.get(prefix + "TSIG_KEY"), secret: v.get(prefix + "TSIG_SECRET"), algorithm: v.get(prefix + "TSIG_ALGORITHM"),
				ttl: uint32(v.ttl(120)), timeout: v.seconds(prefix+"DNS_TIMEOUT", 10*time.Second),
			}
			if zones := v.get(prefix + "ZONES"); zones != "" {
				u.zones = strings.Split(zones, ",")
			}
			if _, _, err := net.SplitHostPort(u.server); err != nil {
				u.server = net.JoinHostPort(strings.Trim(u.server, "[]"), "53")
			}
			return u, u.readKey(v.get(prefix + "TSIG_FILE"))
		},
	}
}

// readKey takes the key from the file that tsig-keygen writes, if there is one, and
// settles the algorithm: what BIND makes unless told otherwise.
func (u *dynamicUpdate) readKey(file string) error {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		words := strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(" \t\r\n;{}\"", r) })
		for i := 0; i+1 < len(words); i++ {
			switch words[i] {
			case "key":
				u.key = words[i+1]
			case "algorithm":
				u.algorithm = words[i+1]
			case "secret":
				u.secret = words[i+1]
			}
		}
	}
	if (u.key == "") != (u.secret == "") {
		return errors.New("DNSUPDATE_TSIG_KEY and DNSUPDATE_TSIG_SECRET belong together")
	}
	if u.key == "" {
		return nil
	}
	if u.algorithm == "" {
		u.algorithm = "hmac-sha256"
	}
	u.key, u.algorithm = dns.Fqdn(strings.ToLower(u.key)), dns.Fqdn(strings.ToLower(u.algorithm))
	switch u.algorithm {
	case dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512:
		return nil
	}
	return fmt.Errorf("DNSUPDATE_TSIG_ALGORITHM: want hmac-sha1, -sha224, -sha256, -sha384 or -sha512, not %s", u.algorithm)
}

func (u *dynamicUpdate) Present(domain, _, keyAuth string) error {
	return u.change(u.ctx, domain, keyAuth, (*dns.Msg).Insert)
}

func (u *dynamicUpdate) CleanUp(domain, _, keyAuth string) error {
	return u.change(context.WithoutCancel(u.ctx), domain, keyAuth, (*dns.Msg).Remove)
}

// change inserts or removes this one record; others of the name stay.
func (u *dynamicUpdate) change(ctx context.Context, domain, keyAuth string, how func(*dns.Msg, []dns.RR)) error {
	info := dns01.GetChallengeInfo(domain, keyAuth)
	zone, err := u.zoneOf(ctx, info.EffectiveFQDN)
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	header := dns.RR_Header{Name: info.EffectiveFQDN, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: u.ttl}
	how(m, []dns.RR{&dns.TXT{Hdr: header, Txt: []string{info.Value}}})
	answer, err := u.exchange(ctx, m)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("%s refuses to change the zone %s: %s", u.server, zone, dns.RcodeToString[answer.Rcode])
	}
	return nil
}

// zoneOf asks the server itself, which has the zone.
func (u *dynamicUpdate) zoneOf(ctx context.Context, fqdn string) (string, error) {
	for _, zone := range u.zones {
		if zone = dns.Fqdn(strings.TrimSpace(zone)); dns.IsSubDomain(zone, fqdn) {
			return zone, nil
		}
	}
	for name := range dns01.DomainsSeq(fqdn) {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeSOA)
		answer, err := u.exchange(ctx, m)
		if err != nil {
			return "", err
		}
		for _, rr := range answer.Answer {
			if soa, ok := rr.(*dns.SOA); ok {
				return soa.Hdr.Name, nil
			}
		}
	}
	return "", fmt.Errorf("%s has no zone for %s", u.server, fqdn)
}

func (u *dynamicUpdate) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: "tcp", Timeout: u.timeout}
	if u.key != "" {
		m.SetTsig(u.key, u.algorithm, 300, time.Now().Unix())
		client.TsigSecret = map[string]string{u.key: u.secret}
	}
	answer, _, err := client.ExchangeContext(ctx, m, u.server)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.server, err)
	}
	return answer, nil
}
