package dnsprovider

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
)

// amazon is Route 53, by the three calls of its API (2013-04-01) that a record needs.
type amazon struct {
	pace
	ctx  context.Context
	rest rest
	base string // https://HOST/2013-04-01
	zone string // of AWS_HOSTED_ZONE_ID, "" to look for it
	ttl  int
}

const route53Namespace = "https://route53.amazonaws.com/doc/2013-04-01/"

func route53() kind {
	return kind{
		name: "route53", prefix: "AWS_",
		needs: [][]string{{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
		also:  []string{"AWS_SESSION_TOKEN", "AWS_REGION", "AWS_HOSTED_ZONE_ID", "AWS_ENDPOINT_URL_ROUTE_53"},
		make: func(ctx context.Context, v *values) (Provider, error) {
			// The service is one for the world and its signatures are for one region; China has its own.
			signer := &sigV4{
				id: v.get("AWS_ACCESS_KEY_ID"), secret: v.get("AWS_SECRET_ACCESS_KEY"), token: v.get("AWS_SESSION_TOKEN"),
				region: "us-east-1", service: "route53", now: time.Now,
			}
			host := "https://route53.amazonaws.com"
			if strings.HasPrefix(v.get("AWS_REGION"), "cn-") {
				signer.region, host = "cn-northwest-1", "https://route53.amazonaws.com.cn"
			}
			return &amazon{
				pace: v.pace(), ctx: ctx, ttl: v.ttl(10), zone: strings.TrimPrefix(v.get("AWS_HOSTED_ZONE_ID"), "/hostedzone/"),
				base: strings.TrimSuffix(v.or("AWS_ENDPOINT_URL_ROUTE_53", host), "/") + "/2013-04-01",
				rest: rest{client: v.client(), sign: signer.sign, complaint: amazonComplaint},
			}, nil
		},
	}
}

func amazonComplaint(body []byte) string {
	var e struct {
		Message string   `xml:"Error>Message"`
		Invalid []string `xml:"Messages>Message"`
	}
	_ = xml.Unmarshal(body, &e)
	return strings.Join(append(e.Invalid, e.Message), " ")
}

// recordSet is all values of one name and type.
type recordSet struct {
	Name   string   `xml:"Name"`
	Type   string   `xml:"Type"`
	TTL    int      `xml:"TTL"`
	Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

func (a *amazon) Present(domain, _, keyAuth string) error {
	return a.change(a.ctx, domain, keyAuth, func(values []string, value string) []string {
		if slices.Contains(values, value) {
			return values
		}
		return append(values, value)
	})
}

func (a *amazon) CleanUp(domain, _, keyAuth string) error {
	return a.change(context.WithoutCancel(a.ctx), domain, keyAuth, func(values []string, value string) []string {
		return slices.DeleteFunc(values, func(v string) bool { return v == value })
	})
}

// change edits one record set: others may have values in it too.
func (a *amazon) change(ctx context.Context, domain, keyAuth string, edit func(values []string, value string) []string) error {
	info := dns01.GetChallengeInfo(domain, keyAuth)
	zone, err := a.zoneOf(ctx, info.EffectiveFQDN)
	if err != nil {
		return err
	}
	set, err := a.look(ctx, zone, info.EffectiveFQDN)
	if err != nil {
		return err
	}
	before := set
	set.Values = edit(slices.Clone(set.Values), strconv.Quote(info.Value))
	action := "UPSERT"
	switch {
	case slices.Equal(before.Values, set.Values):
		return nil
	case len(set.Values) == 0:
		action, set = "DELETE", before // as it is, or it is refused
	case len(before.Values) == 0:
		set.TTL = a.ttl
	}
	return a.submit(ctx, zone, action, set)
}

func (a *amazon) submit(ctx context.Context, zone, action string, set recordSet) error {
	type change struct {
		Action            string
		ResourceRecordSet recordSet
	}
	request := struct {
		XMLName xml.Name `xml:"ChangeResourceRecordSetsRequest"`
		Space   string   `xml:"xmlns,attr"`
		Changes []change `xml:"ChangeBatch>Changes>Change"`
	}{Space: route53Namespace, Changes: []change{{action, set}}}
	body, err := xml.Marshal(request)
	if err != nil {
		return err
	}
	var info changeInfo
	if err := a.call(ctx, http.MethodPost, "/hostedzone/"+zone+"/rrset/", nil, body, &info); err != nil {
		return err
	}
	// Until then not all name servers have it.
	return await(ctx, a.propagation, a.polling, func() (bool, error) {
		if info.Status != "PENDING" {
			return true, nil
		}
		return false, a.call(ctx, http.MethodGet, info.ID, nil, nil, &info)
	})
}

type changeInfo struct {
	ID     string `xml:"ChangeInfo>Id"` // /change/…
	Status string `xml:"ChangeInfo>Status"`
}

func (a *amazon) zoneOf(ctx context.Context, fqdn string) (string, error) {
	if a.zone != "" {
		return a.zone, nil
	}
	for name := range zones(fqdn) {
		var list struct {
			Zones []struct {
				ID      string `xml:"Id"`
				Name    string
				Private bool `xml:"Config>PrivateZone"`
			} `xml:"HostedZones>HostedZone"`
		}
		if err := a.call(ctx, http.MethodGet, "/hostedzonesbyname", url.Values{"dnsname": {name}}, nil, &list); err != nil {
			return "", err
		}
		for _, z := range list.Zones {
			if z.Name == name+"." && !z.Private {
				return strings.TrimPrefix(z.ID, "/hostedzone/"), nil
			}
		}
	}
	return "", fmt.Errorf("%w for %s", errNoZone, fqdn)
}

// look returns an empty set for a name that has none.
func (a *amazon) look(ctx context.Context, zone, fqdn string) (recordSet, error) {
	var list struct {
		Sets []recordSet `xml:"ResourceRecordSets>ResourceRecordSet"`
	}
	query := url.Values{"name": {fqdn}, "type": {"TXT"}, "maxitems": {"1"}}
	if err := a.call(ctx, http.MethodGet, "/hostedzone/"+zone+"/rrset", query, nil, &list); err != nil {
		return recordSet{}, err
	}
	if len(list.Sets) == 1 && list.Sets[0].Name == fqdn && list.Sets[0].Type == "TXT" {
		return list.Sets[0], nil
	}
	return recordSet{Name: fqdn, Type: "TXT"}, nil
}

func (a *amazon) call(ctx context.Context, method, path string, query url.Values, body []byte, into any) error {
	address := a.base + path
	if query != nil {
		address += "?" + query.Encode()
	}
	data, err := a.rest.call(ctx, method, address, "", body)
	if err != nil {
		return err
	}
	return xml.Unmarshal(data, into)
}
