package dnsprovider

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

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
