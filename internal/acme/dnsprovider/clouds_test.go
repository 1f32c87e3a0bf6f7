package dnsprovider

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// accountJSON is a service account's file, as Google makes it.
func accountJSON(t *testing.T, tokenURI string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return accountWith(t, key, tokenURI)
}

func accountWith(t *testing.T, key *rsa.PrivateKey, tokenURI string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p1", "private_key_id": "k1", "client_email": "dns@p1.test", "token_uri": tokenURI,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fakeGoogle is Cloud DNS and the server of its tokens: lego's own provider, by
// Google's library, has been tried against it.
type fakeGoogle struct {
	t       *testing.T
	public  *rsa.PublicKey
	tokenAt string
	mu      sync.Mutex
	sets    map[string]rrset
	pending int
}

func (f *fakeGoogle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			f.t.Error(err)
		}
	}
	if r.URL.Path == "/token" {
		if !f.knows(r.PostFormValue("assertion")) || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			w.WriteHeader(http.StatusBadRequest)
			answer(map[string]string{"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
			return
		}
		answer(map[string]any{"access_token": "t0", "expires_in": 3599, "token_type": "Bearer"})
		return
	}
	if r.Header.Get("Authorization") != "Bearer t0" {
		w.WriteHeader(http.StatusUnauthorized)
		answer(map[string]any{"error": map[string]any{"code": 401, "message": "who are you?"}})
		return
	}
	q := r.URL.Query()
	switch path := strings.TrimPrefix(r.URL.Path, "/dns/v1/projects/p1/managedZones"); {
	case path == "":
		zones := []map[string]string{}
		if q.Get("dnsName") == "registry.test." {
			zones = append(zones, map[string]string{"name": "inside", "visibility": "private"}, map[string]string{"name": "zone-1", "visibility": "public"})
		}
		answer(map[string]any{"managedZones": zones})
	case path == "/zone-1/rrsets":
		var found []rrset
		if set, ok := f.sets[q.Get("name")]; ok && q.Get("type") == "TXT" {
			found = append(found, set)
		}
		answer(map[string]any{"rrsets": found})
	case path == "/zone-1/changes" && r.Method == http.MethodPost:
		f.change(w, r, answer)
	case path == "/zone-1/changes/7":
		f.pending--
		answer(map[string]string{"id": "7", "status": f.status()})
	default:
		f.t.Errorf("%s %s", r.Method, r.URL)
	}
}

func (f *fakeGoogle) status() string {
	if f.pending > 0 {
		return "pending"
	}
	return "done"
}

func (f *fakeGoogle) change(w http.ResponseWriter, r *http.Request, answer func(any)) {
	var c struct{ Additions, Deletions []rrset }
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		f.t.Error(err)
	}
	for _, d := range c.Deletions {
		if there := f.sets[d.Name]; !slices.Equal(there.Values, d.Values) || there.TTL != d.TTL {
			w.WriteHeader(http.StatusPreconditionFailed)
			answer(map[string]any{"error": map[string]any{"code": 412, "message": "Precondition not met"}})
			return
		}
		delete(f.sets, d.Name)
	}
	for _, a := range c.Additions {
		if _, there := f.sets[a.Name]; there {
			w.WriteHeader(http.StatusConflict)
			answer(map[string]any{"error": map[string]any{"code": 409, "message": "already exists"}})
			return
		}
		f.sets[a.Name] = a
	}
	f.pending = 2
	answer(map[string]string{"id": "7", "status": f.status()})
}

// knows verifies a JWT (RFC 7515) and what it claims.
func (f *fakeGoogle) knows(jwt string) bool {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return false
	}
	var claims struct {
		Iss, Aud, Scope string
		Iat, Exp        int64
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	return err == nil && rsa.VerifyPKCS1v15(f.public, crypto.SHA256, sum[:], signature) == nil &&
		claims.Iss == "dns@p1.test" && claims.Aud == f.tokenAt && strings.Contains(claims.Scope, "clouddns.readwrite") &&
		claims.Iat <= now && claims.Exp > now && claims.Exp <= now+3600
}

func TestGoogleCloud(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeGoogle{t: t, public: &key.PublicKey, sets: map[string]rrset{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.tokenAt = server.URL + "/token"
	pairs := []string{"GCE_SERVICE_ACCOUNT=" + accountWith(t, key, f.tokenAt), "GCE_ENDPOINT_URL=" + server.URL, "GCE_POLLING_INTERVAL=0"}
	throughItsPaces(t, "gcloud", pairs, func(name string) []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var values []string
		for _, v := range f.sets[name].Values {
			values = append(values, strings.Trim(v, `"`))
		}
		return values
	})
	p, err := New(t.Context(), "gcloud", given(append(pairs, "GCE_SERVICE_ACCOUNT="+accountJSON(t, f.tokenAt))...))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Present("registry.test", "", "auth"); err == nil || !strings.Contains(err.Error(), "answers HTTP 400: Invalid JWT Signature.") {
		t.Error(err)
	}
}

// The example of Alibaba Cloud's own description of the signature.
func TestRPCSignature(t *testing.T) {
	q := url.Values{
		"Action": {"DescribeRegions"}, "Version": {"2014-05-26"}, "Format": {"XML"}, "AccessKeyId": {"testid"},
		"SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"}, "SignatureNonce": {"3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"},
		"Timestamp": {"2016-02-23T12:46:24Z"},
	}
	if got, want := rpcSignature(http.MethodGet, q, "testsecret"), "OLeaidS1JvxuMvnyHOwuJ+uX5qY="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// fakeAlibaba is Alibaba Cloud DNS as far as records go.
type fakeAlibaba struct {
	t       *testing.T
	mu      sync.Mutex
	next    int
	records map[string][2]string // name and value by id
}

func (f *fakeAlibaba) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	given := q.Get("Signature")
	q.Del("Signature")
	refuse := func(status int, code, message string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"RequestId": "1", "Code": %q, "Message": %q}`, code, message)
	}
	if at, err := time.Parse("2006-01-02T15:04:05Z", q.Get("Timestamp")); err != nil || time.Since(at).Abs() > time.Hour ||
		given != rpcSignature(r.Method, q, "key") || q.Get("AccessKeyId") != "id" || q.Get("SecurityToken") != "token" {
		refuse(http.StatusForbidden, "SignatureDoesNotMatch", "the signature does not match")
		return
	}
	switch q.Get("Action") {
	case "DescribeDomainInfo":
		if q.Get("DomainName") != "registry.test" {
			refuse(http.StatusBadRequest, "InvalidDomainName.NoExist", "no such domain")
			return
		}
		fmt.Fprint(w, `{"DomainName": "registry.test"}`)
	case "AddDomainRecord":
		if q.Get("Type") != "TXT" || q.Get("DomainName") != "registry.test" || q.Get("TTL") != "600" {
			f.t.Errorf("%v", q)
		}
		f.next++
		id := fmt.Sprint(f.next)
		f.records[id] = [2]string{q.Get("RR") + ".registry.test.", q.Get("Value")}
		fmt.Fprintf(w, `{"RequestId": "1", "RecordId": %q}`, id)
	case "DeleteDomainRecord":
		delete(f.records, q.Get("RecordId"))
		fmt.Fprint(w, `{"RequestId": "1"}`)
	default:
		f.t.Errorf("%v", q)
	}
}

func TestAlibabaCloud(t *testing.T) {
	f := &fakeAlibaba{t: t, records: map[string][2]string{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	pairs := []string{"ALICLOUD_ACCESS_KEY=id", "ALICLOUD_SECRET_KEY=key", "ALICLOUD_SECURITY_TOKEN=token", "ALICLOUD_ENDPOINT_URL=" + server.URL}
	throughItsPaces(t, "alidns", pairs, func(name string) []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var values []string
		for _, r := range f.records {
			if r[0] == name {
				values = append(values, r[1])
			}
		}
		return values
	})
	p, err := New(t.Context(), "alidns", given(append(pairs, "ALICLOUD_SECRET_KEY=wrong")...))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Present("registry.test", "", "auth"); err == nil || !strings.Contains(err.Error(), "HTTP 403: SignatureDoesNotMatch") {
		t.Error(err)
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
