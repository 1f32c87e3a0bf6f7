package dnsprovider

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The example of AWS's own description of Signature Version 4.
func TestSigV4(t *testing.T) {
	s := &sigV4{
		id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1", service: "iam",
		now: func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) },
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Path = "/"
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if err := s.sign(req, nil); err != nil {
		t.Fatal(err)
	}
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// fakeAmazon is Route 53 as far as records go, and as strict: lego's own provider,
// by Amazon's SDK, has been tried against it.
type fakeAmazon struct {
	t       *testing.T
	mu      sync.Mutex
	sets    map[string]recordSet // by name
	pending int
	rude    string // what it answers to everything
}

func (f *fakeAmazon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	if !f.signed(r, body) {
		f.fail(w, http.StatusForbidden, "SignatureDoesNotMatch")
		return
	}
	if f.rude != "" {
		f.fail(w, http.StatusTooManyRequests, f.rude)
		return
	}
	q := r.URL.Query()
	switch path := strings.TrimPrefix(r.URL.Path, "/2013-04-01"); {
	case path == "/hostedzonesbyname":
		// All zones from that name on, as the API has it.
		zones := ""
		for name, id := range map[string]string{"registry.test.": "Z1", "other.test.": "Z2"} {
			if strings.TrimSuffix(name, ".") >= strings.TrimSuffix(q.Get("dnsname"), ".") {
				zones += fmt.Sprintf("<HostedZone><Id>/hostedzone/%s</Id><Name>%s</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone>", id, name)
			}
		}
		fmt.Fprintf(w, `<?xml version="1.0"?><ListHostedZonesByNameResponse xmlns=%q><HostedZones>%s</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>`, route53Namespace, zones)
	case path == "/hostedzone/Z1/rrset" && r.Method == http.MethodGet:
		set, ok := f.sets[q.Get("name")]
		if !ok {
			set = recordSet{"zzz.registry.test.", "A", 1, []string{"192.0.2.1"}} // what comes next
		}
		data, err := xml.Marshal(set)
		if err != nil {
			f.t.Error(err)
		}
		text := strings.ReplaceAll(string(data), "recordSet>", "ResourceRecordSet>")
		fmt.Fprintf(w, `<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns=%q><ResourceRecordSets>%s</ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`, route53Namespace, text)
	case strings.TrimSuffix(path, "/") == "/hostedzone/Z1/rrset" && r.Method == http.MethodPost:
		f.change(w, body)
	case path == "/change/C1":
		f.pending--
		f.info(w, "GetChangeResponse")
	default:
		f.t.Errorf("%s %s", r.Method, r.URL)
		f.fail(w, http.StatusNotFound, "NoSuchThing")
	}
}

func (f *fakeAmazon) change(w http.ResponseWriter, body []byte) {
	var request struct {
		XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
		Changes []struct {
			Action            string
			ResourceRecordSet recordSet
		} `xml:"ChangeBatch>Changes>Change"`
	}
	if err := xml.Unmarshal(body, &request); err != nil || len(request.Changes) != 1 {
		f.t.Errorf("%v: %s", err, body)
		f.fail(w, http.StatusBadRequest, "MalformedInput")
		return
	}
	c := request.Changes[0]
	set := c.ResourceRecordSet
	there := f.sets[set.Name]
	switch {
	case c.Action == "UPSERT" && len(set.Values) > 0 && set.TTL > 0:
		f.sets[set.Name] = set
	case c.Action == "DELETE" && there.TTL == set.TTL && slices.Equal(there.Values, set.Values):
		delete(f.sets, set.Name)
	default:
		f.fail(w, http.StatusBadRequest, "InvalidChangeBatch")
		return
	}
	f.pending = 2
	f.info(w, "ChangeResourceRecordSetsResponse")
}

func (f *fakeAmazon) info(w http.ResponseWriter, element string) {
	status := "PENDING"
	if f.pending <= 0 {
		status = "INSYNC"
	}
	fmt.Fprintf(w, `<?xml version="1.0"?><%s xmlns=%q><ChangeInfo><Id>/change/C1</Id><Status>%s</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></%s>`, element, route53Namespace, status, element)
}

func (f *fakeAmazon) fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns=%q><Error><Type>Sender</Type><Code>%s</Code><Message>about %s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, route53Namespace, code, code)
}

// signed makes the signature of what came, over the headers that it says it is over.
func (f *fakeAmazon) signed(r *http.Request, body []byte) bool {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > time.Hour {
		return false
	}
	s := &sigV4{id: "id", secret: "key", token: r.Header.Get("X-Amz-Security-Token"), region: "us-east-1", service: "route53", now: func() time.Time { return at }}
	again := &http.Request{Method: r.Method, Header: http.Header{}, URL: &url.URL{Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}}
	for name := range strings.SplitSeq(names, ";") {
		switch name {
		case "host":
		case "content-length":
			again.Header.Set(name, fmt.Sprint(r.ContentLength))
		default:
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	if err := s.sign(again, body); err != nil {
		f.t.Error(err)
	}
	return again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func TestRoute53(t *testing.T) {
	f := &fakeAmazon{t: t, sets: map[string]recordSet{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	pairs := []string{
		"AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key", "AWS_SESSION_TOKEN=token", "AWS_ENDPOINT_URL_ROUTE_53=" + server.URL,
		"AWS_POLLING_INTERVAL=0", "AWS_TTL=60",
	}
	throughItsPaces(t, "route53", pairs, func(name string) []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var values []string
		for _, v := range f.sets[name].Values {
			values = append(values, strings.Trim(v, `"`))
		}
		return values
	})

	p, err := New(t.Context(), "route53", given(append(pairs, "AWS_SECRET_ACCESS_KEY=wrong")...))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Present("registry.test", "", "auth"); err == nil || !strings.Contains(err.Error(), "answers HTTP 403: about SignatureDoesNotMatch") {
		t.Error(err)
	}
	f.rude = "Throttling"
	if p, err = New(t.Context(), "route53", given(pairs...)); err != nil {
		t.Fatal(err)
	}
	if err := p.Present("registry.test", "", "auth"); err == nil || !strings.Contains(err.Error(), "answers HTTP 429: about Throttling") {
		t.Error(err)
	}
}
