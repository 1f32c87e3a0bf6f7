package dnsprovider

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
)

// alibaba is Alibaba Cloud DNS, by its RPC API (2015-01-09).
type alibaba struct {
	pace
	ctx         context.Context
	rest        rest
	endpoint    string
	id, secret  string
	token, line string
	ttl         int

	mu      sync.Mutex
	records map[string]string // id by value
}

func aliDNS() kind {
	return kind{
		name: "alidns", prefix: "ALICLOUD_",
		needs: [][]string{{"ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY"}},
		also:  []string{"ALICLOUD_SECURITY_TOKEN", "ALICLOUD_REGION_ID", "ALICLOUD_LINE", "ALICLOUD_ENDPOINT_URL"},
		make: func(ctx context.Context, v *values) (Provider, error) {
			endpoint := "https://alidns.aliyuncs.com/"
			if region := v.get("ALICLOUD_REGION_ID"); region != "" {
				endpoint = "https://alidns." + region + ".aliyuncs.com/"
			}
			return &alibaba{
				pace: v.pace(), ctx: ctx, ttl: v.ttl(600), line: v.get("ALICLOUD_LINE"),
				endpoint: v.or("ALICLOUD_ENDPOINT_URL", endpoint), records: map[string]string{},
				id: v.get("ALICLOUD_ACCESS_KEY"), secret: v.get("ALICLOUD_SECRET_KEY"), token: v.get("ALICLOUD_SECURITY_TOKEN"),
				rest: rest{client: v.client(), sign: func(*http.Request, []byte) error { return nil }, complaint: alibabaComplaint},
			}, nil
		},
	}
}

func alibabaComplaint(body []byte) string {
	var e struct{ Code, Message string }
	_ = json.Unmarshal(body, &e)
	return strings.TrimSpace(e.Code + " " + e.Message)
}

func (a *alibaba) Present(domain, _, keyAuth string) error {
	info := dns01.GetChallengeInfo(domain, keyAuth)
	zone, err := a.zoneOf(a.ctx, info.EffectiveFQDN)
	if err != nil {
		return err
	}
	q := url.Values{
		"DomainName": {zone}, "RR": {strings.TrimSuffix(info.EffectiveFQDN, "."+zone+".")},
		"Type": {"TXT"}, "Value": {info.Value}, "TTL": {strconv.Itoa(a.ttl)},
	}
	if a.line != "" {
		q.Set("Line", a.line)
	}
	var answer struct{ RecordID string }
	if err := a.call(a.ctx, "AddDomainRecord", q, &answer); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records[info.Value] = answer.RecordID
	return nil
}

func (a *alibaba) CleanUp(domain, _, keyAuth string) error {
	info := dns01.GetChallengeInfo(domain, keyAuth)
	a.mu.Lock()
	id := a.records[info.Value]
	a.mu.Unlock()
	if id == "" {
		return nil // it was never set
	}
	return a.call(context.WithoutCancel(a.ctx), "DeleteDomainRecord", url.Values{"RecordId": {id}}, &struct{}{})
}

// zoneOf looks for the nearest domain that the account has.
func (a *alibaba) zoneOf(ctx context.Context, fqdn string) (string, error) {
	for name := range zones(fqdn) {
		var info struct{ DomainName string }
		err := a.call(ctx, "DescribeDomainInfo", url.Values{"DomainName": {name}}, &info)
		var r *refusal
		switch {
		case err == nil:
			return name, nil
		case errors.As(err, &r) && (strings.HasPrefix(r.complaint, "InvalidDomainName") || strings.HasPrefix(r.complaint, "IncorrectDomainUser")):
			// A subdomain that is no zone, or another's.
		default:
			return "", err
		}
	}
	return "", fmt.Errorf("%w for %s", errNoZone, fqdn)
}

func (a *alibaba) call(ctx context.Context, action string, q url.Values, into any) error {
	for name, value := range map[string]string{
		"Action": action, "Version": "2015-01-09", "Format": "JSON", "AccessKeyId": a.id,
		"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureNonce": rand.Text(),
		"Timestamp": time.Now().UTC().Format(time.RFC3339),
	} {
		q.Set(name, value)
	}
	if a.token != "" {
		q.Set("SecurityToken", a.token)
	}
	q.Set("Signature", rpcSignature(http.MethodGet, q, a.secret))
	data, err := a.rest.call(ctx, http.MethodGet, a.endpoint+"?"+q.Encode(), "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// rpcSignature is how Alibaba Cloud signs RPC calls; SHA-1 is its rule, not ours.
func rpcSignature(method string, q url.Values, secret string) string {
	escape := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	query := strings.ReplaceAll(q.Encode(), "+", "%20")
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(method + "&" + escape("/") + "&" + escape(query)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
