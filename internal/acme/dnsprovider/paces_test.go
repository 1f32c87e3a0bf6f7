package dnsprovider

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/miekg/dns"
)

// nameServer makes lego ask a server here, which has the zone registry.test.
func nameServer(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		if q := r.Question[0]; q.Qtype == dns.TypeSOA && q.Name == "registry.test." {
			m.Answer = append(m.Answer, &dns.SOA{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET}, Ns: "ns.", Mbox: "m."})
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	_ = dns01.AddRecursiveNameservers([]string{conn.LocalAddr().String()})(nil)
	dns01.ClearFqdnCache()
}

// throughItsPaces sets two records of one name, and one of another, and removes them
// one by one, twice. values tells what a name has.
func throughItsPaces(t *testing.T, name string, pairs []string, values func(fqdn string) []string) {
	t.Helper()
	nameServer(t)
	p, err := New(t.Context(), name, given(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	has := func(domain string, auths ...string) {
		t.Helper()
		var want []string
		for _, auth := range auths {
			info := dns01.GetChallengeInfo(domain, auth)
			want = append(want, info.Value)
		}
		fqdn := "_acme-challenge." + domain + "."
		got := values(fqdn)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", fqdn, got, want)
		}
	}
	do := func(what func(domain, token, keyAuth string) error, domain, auth string) {
		t.Helper()
		if err := what(domain, "token-"+auth, auth); err != nil {
			t.Fatal(err)
		}
	}
	const one, two = "registry.test", "b.registry.test"
	do(p.Present, one, "first")
	do(p.Present, one, "second")
	do(p.Present, two, "third")
	has(one, "first", "second")
	has(two, "third")
	do(p.CleanUp, one, "first")
	has(one, "second")
	do(p.CleanUp, one, "second")
	do(p.CleanUp, two, "third")
	has(one)
	has(two)
	if err := p.Present("elsewhere.invalid", "token", "auth"); err == nil || !strings.Contains(err.Error(), "elsewhere.invalid") {
		t.Errorf("a record in nobody's zone: %v", err)
	}
}

// A token arrives where it should, with the providers that are lego's own.
func TestTokens(t *testing.T) {
	nameServer(t)
	for name, variable := range map[string][2]string{
		"cloudflare": {"CLOUDFLARE_DNS_API_TOKEN", "CLOUDFLARE_BASE_URL"}, "digitalocean": {"DO_AUTH_TOKEN", "DO_API_URL"},
	} {
		seen := make(chan string, 16)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header.Get("Authorization")
			http.Error(w, "{}", http.StatusForbidden)
		}))
		t.Cleanup(server.Close)
		p, err := New(t.Context(), name, given(variable[0]+"=t0", variable[1]+"="+server.URL))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Present("registry.test", "", "auth"); err == nil {
			t.Errorf("%s: no error", name)
		}
		select {
		case got := <-seen:
			if got != "Bearer t0" {
				t.Errorf("%s: %q", name, got)
			}
		default:
			t.Errorf("%s asked nobody", name)
		}
	}
}
