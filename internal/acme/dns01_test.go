package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testpebble"
)

// The tests here are not parallel: lego keeps its resolvers in the process.

func credentials(pairs ...string) map[string]secret.String {
	m := map[string]secret.String{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = secret.New(value)
	}
	return m
}

func byDNS(s *testpebble.Server, provider string, names []string, pairs ...string) Options {
	o := by(s, names...)
	o.Challenge = Challenge{Kind: DNS01, DNS: DNS{Provider: provider, Credentials: credentials(pairs...), Resolvers: []string{s.DNS}}}
	return o
}

// httpreqServer is what httpreq talks to: here, it tells the challenge test server.
func httpreqServer(t *testing.T, s *testpebble.Server, set bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		var m struct{ FQDN, Value string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || user != "u" || password != "p" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		switch {
		case r.URL.Path == "/present" && set:
			s.SetTXT(m.FQDN, m.Value)
		case r.URL.Path == "/cleanup":
			s.ClearTXT(m.FQDN)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func hasTXT(t *testing.T, s *testpebble.Server, name string) bool {
	t.Helper()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.DNS)
	}}
	found, err := resolver.LookupTXT(t.Context(), name)
	var failed *net.DNSError
	if err != nil && (!errors.As(err, &failed) || failed.IsTimeout) {
		t.Fatal(err)
	}
	return len(found) > 0
}

func TestDNSByHTTP(t *testing.T) {
	s := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	names := []string{"registry.test", "*.registry.test", "b.test"}
	server := httpreqServer(t, s, true)
	given := []string{"HTTPREQ_ENDPOINT=" + server.URL, "HTTPREQ_USERNAME=u", "HTTPREQ_PASSWORD=p", "HTTPREQ_POLLING_INTERVAL=0", "HTTPREQ_PROPAGATION_TIMEOUT=1"}
	o := byDNS(s, "httpreq", names, given...)
	leafOf(t, obtain(t, o), s.Root(0), "registry.test", "any.registry.test", "b.test")
	if hasTXT(t, s, "_acme-challenge.registry.test") {
		t.Error("the record is still there")
	}

	o.Challenge.DNS.Credentials = credentials(append(given, "HTTPREQ_PASSWORD=wrong")...)
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "the DNS provider httpreq did not set the record", "credentials file")
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is shown: %v", err)
	}

	// Whoever has the zone says yes and does nothing.
	mute := httpreqServer(t, s, false)
	o.Challenge.DNS.Credentials = credentials(append(given, "HTTPREQ_ENDPOINT="+mute.URL)...)
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "registry.test: the TXT record was set, but the name servers do not show it", "HTTPREQ_PROPAGATION_TIMEOUT=600")

	// Nothing is asked of the provider for an address.
	o.Names = []string{s.Addr}
	_, err = Obtain(t.Context(), o)
	want(t, err, true, "dns-01 proves names, not addresses", "http-01")
}

func TestDNSByScript(t *testing.T) {
	testenv.Need(t, "sh", "curl")
	s := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	script := filepath.Join(t.TempDir(), "dns.sh")
	text := `#!/bin/sh
set -e
case $1 in
present) curl -sf -d "{\"host\": \"$2\", \"value\": \"$3\"}" "$API/set-txt" ;;
cleanup) curl -sf -d "{\"host\": \"$2\"}" "$API/clear-txt" ;;
esac
if [ -n "$SLEEP" ] && [ $1 = present ]; then echo $$ >"$SLEEP"; exec sleep 1000; fi
if [ -n "$FAIL" ]; then echo first; echo "no such zone" >&2; exit 3; fi
`
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	given := []string{"EXEC_PATH=" + script, "API=" + s.Names, "EXEC_POLLING_INTERVAL=0"}
	o := byDNS(s, "exec", []string{"registry.test", "b.test"}, given...)
	leafOf(t, obtain(t, o), s.Root(0), "registry.test", "b.test")
	if hasTXT(t, s, "_acme-challenge.b.test") {
		t.Error("the record is still there")
	}

	o.Challenge.DNS.Credentials = credentials(append(given, "FAIL=1")...)
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "dns.sh present: exit status 3: no such zone", "credentials file")

	// A script that hangs ends with the call.
	pid := filepath.Join(t.TempDir(), "pid")
	o.Challenge.DNS.Credentials = credentials(append(given, "SLEEP="+pid)...)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := os.Stat(pid); err == nil || t.Context().Err() != nil {
				cancel()
				return
			}
		}
	}()
	if _, err = Obtain(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if hasTXT(t, s, "_acme-challenge.registry.test") {
		t.Error("the record is still there")
	}
}

// named serves a zone that a key may change, and returns its address and the key. It
// listens on addresses that an interface has, and on no other of 127.0.0.0/8.
func named(t *testing.T, zone string) (server, key string) {
	t.Helper()
	const addr = "127.0.0.1"
	dir := t.TempDir()
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	key = "c2VjcmV0IG9mIGEgdGVzdCdzLCAzMiBieXRlcyBsb25n"
	config := fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none;
	listen-on port %s { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no;
};
controls { };
key "regctl" { algorithm hmac-sha256; secret %q; };
zone %q { type primary; file "zone"; allow-update { key regctl; }; };
`, dir, port, addr, key, zone)
	text := fmt.Sprintf("$TTL 1\n@ SOA ns1 admin 1 3600 600 86400 1\n@ NS ns1\n@ A %s\nns1 A %[1]s\nb A %[1]s\n", addr)
	for name, data := range map[string]string{"named.conf": config, "zone": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log story
	cmd := exec.Command("named", "-g", "-c", filepath.Join(dir, "named.conf"))
	cmd.Stderr = writer(log.say)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	server = net.JoinHostPort(addr, port)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if strings.Contains(log.String(), "running") {
			return server, key
		}
		if time.Now().After(deadline) {
			t.Fatalf("named does not run:\n%s", &log)
		}
	}
}

type writer func(string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

// A real name server: the zone that the CA asks is the one that is changed.
func TestDNSByUpdate(t *testing.T) {
	testenv.Need(t, "named")
	names := []string{"registry.test", "b.registry.test", "*.registry.test"}
	server, key := named(t, "registry.test")
	s := testpebble.New(t, testpebble.Options{DNS: server, ReuseAuthz: -1})
	given := []string{
		"DNSUPDATE_NAMESERVER=" + server, "DNSUPDATE_TSIG_KEY=regctl", "DNSUPDATE_TSIG_SECRET=" + key,
		"DNSUPDATE_POLLING_INTERVAL=0",
	}
	o := byDNS(s, "rfc2136", names, given...)
	leafOf(t, obtain(t, o), s.Root(0), names[0], names[1], "any.registry.test")
	if hasTXT(t, s, "_acme-challenge.registry.test") {
		t.Error("the record is still there")
	}

	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, fmt.Appendf(nil, "key \"regctl\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", key), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Challenge.DNS.Credentials = credentials("RFC2136_NAMESERVER="+server, "RFC2136_TSIG_FILE="+file, "RFC2136_POLLING_INTERVAL=0")
	leafOf(t, obtain(t, o), s.Root(0), names[0])

	for _, wrong := range []string{"DNSUPDATE_TSIG_KEY=other", "DNSUPDATE_TSIG_SECRET=d3Jvbmc=", "DNSUPDATE_ZONES=test"} {
		o.Challenge.DNS.Credentials = credentials(append(given, wrong)...)
		_, err := Obtain(t.Context(), o)
		want(t, err, false, "registry.test: the DNS provider rfc2136 did not set the record: "+server, "credentials file")
	}
	o.Names, o.Challenge.DNS.Credentials = []string{"elsewhere.test"}, credentials(given...)
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "has no zone for _acme-challenge.elsewhere.test.", "credentials file")
}

// Where no name server can be asked, as behind a firewall, the CA is asked to look
// nevertheless.
func TestDeafness(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	l := lookFor{ctx: t.Context()}
	look := func(err error) (bool, error) {
		return l.once("registry.test", "_acme-challenge.registry.test.", "value", func(string, string) (bool, error) { return err == nil, err })
	}
	if done, err := look(refused); done || err == nil {
		t.Errorf("%t %v at the first failure", done, err)
	}
	l.since = time.Now().Add(-2 * deafTime)
	if done, err := look(errors.New("NS did not return it")); done || err == nil || !l.since.IsZero() {
		t.Errorf("%t %v by a server that answers", done, err)
	}
	if done, _ := look(refused); done {
		t.Error("it gave up at once")
	}
	l.since = time.Now().Add(-2 * deafTime)
	if done, err := look(refused); !done || err != nil || !l.deaf {
		t.Errorf("%t %v in the end", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.ctx = ctx
	if done, err := look(nil); !done || !errors.Is(err, context.Canceled) {
		t.Errorf("%t %v after the end", done, err)
	}
}
