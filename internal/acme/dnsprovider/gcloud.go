package dnsprovider

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
)

// google is Cloud DNS, by its REST API (v1) and a service account's key.
type google struct {
	pace
	ctx     context.Context
	rest    rest
	account serviceAccount
	base    string // https://HOST/dns/v1/projects/PROJECT
	zone    string // GCE_ZONE_ID, "" to look for it
	ttl     int
	token   string
}

// serviceAccount is the JSON file that Google makes for one.
type serviceAccount struct {
	Project  string `json:"project_id"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	Email    string `json:"client_email"`
	TokenURI string `json:"token_uri"`
}

func googleCloud() kind {
	return kind{
		name: "gcloud", prefix: "GCE_",
		needs: [][]string{{"GCE_SERVICE_ACCOUNT"}},
		also:  []string{"GCE_PROJECT", "GCE_ZONE_ID", "GCE_ENDPOINT_URL"},
		make: func(ctx context.Context, v *values) (Provider, error) {
			g := &google{pace: v.pace(), ctx: ctx, zone: v.get("GCE_ZONE_ID"), ttl: v.ttl(120)}
			if err := json.Unmarshal([]byte(v.get("GCE_SERVICE_ACCOUNT")), &g.account); err != nil || g.account.Email == "" {
				return nil, errors.New("GCE_SERVICE_ACCOUNT: want the JSON of a service account's key; GCE_SERVICE_ACCOUNT_FILE is a path to it")
			}
			if g.account.TokenURI == "" {
				g.account.TokenURI = "https://oauth2.googleapis.com/token"
			}
			project := v.or("GCE_PROJECT", g.account.Project)
			g.base = strings.TrimSuffix(v.or("GCE_ENDPOINT_URL", "https://dns.googleapis.com"), "/") + "/dns/v1/projects/" + url.PathEscape(project)
			g.rest = rest{client: v.client(), sign: g.sign, complaint: googleComplaint}
			return g, nil
		},
	}
}

func googleComplaint(body []byte) string {
	var e struct {
		Error struct{ Message string }
	}
	_ = json.Unmarshal(body, &e)
	return e.Error.Message
}

func (g *google) sign(req *http.Request, _ []byte) error {
	if g.token != "" {
		req.Header.Set("Authorization", "Bearer "+g.token)
	}
	return nil
}

// login gets a token for an hour, by a JWT that the account's key signs (RFC 7523).
func (g *google) login(ctx context.Context) error {
	if g.token != "" {
		return nil
	}
	jwt, err := g.account.jwt(time.Now())
	if err != nil {
		return err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {jwt}}
	plain := rest{client: g.rest.client, sign: g.sign, complaint: func(body []byte) string {
		var e struct {
			What string `json:"error_description"`
		}
		_ = json.Unmarshal(body, &e)
		return e.What
	}}
	data, err := plain.call(ctx, http.MethodPost, g.account.TokenURI, "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Token == "" {
		return fmt.Errorf("%s answers with no token", g.account.TokenURI)
	}
	g.token = answer.Token
	return nil
}

func (a serviceAccount) jwt(now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return "", errors.New("the service account's private_key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, isRSA := parsed.(*rsa.PrivateKey)
	if err != nil || !isRSA {
		return "", errors.New("the service account's private_key is no RSA key in PKCS#8")
	}
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": a.KeyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": a.Email, "aud": a.TokenURI, "scope": "https://www.googleapis.com/auth/ndev.clouddns.readwrite",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// rrset is all values of one name and type.
type rrset struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	TTL    int      `json:"ttl"`
	Values []string `json:"rrdatas"`
}

func (g *google) Present(domain, _, keyAuth string) error {
	return g.change(g.ctx, domain, keyAuth, func(values []string, value string) []string {
		if slices.Contains(values, value) {
			return values
		}
		return append(values, value)
	})
}

func (g *google) CleanUp(domain, _, keyAuth string) error {
	return g.change(context.WithoutCancel(g.ctx), domain, keyAuth, func(values []string, value string) []string {
		return slices.DeleteFunc(values, func(v string) bool { return v == value })
	})
}

// change replaces one record set: others may have values in it too.
func (g *google) change(ctx context.Context, domain, keyAuth string, edit func(values []string, value string) []string) error {
	if err := g.login(ctx); err != nil {
		return err
	}
	info := dns01.GetChallengeInfo(domain, keyAuth)
	zone, err := g.zoneOf(ctx, info.EffectiveFQDN)
	if err != nil {
		return err
	}
	var there struct {
		Sets []rrset `json:"rrsets"`
	}
	path := "/managedZones/" + url.PathEscape(zone)
	query := url.Values{"name": {info.EffectiveFQDN}, "type": {"TXT"}}
	if err := g.call(ctx, http.MethodGet, path+"/rrsets?"+query.Encode(), nil, &there); err != nil {
		return err
	}
	now := rrset{Name: info.EffectiveFQDN, Type: "TXT", TTL: g.ttl}
	if len(there.Sets) > 0 {
		now = there.Sets[0]
	}
	before := now.Values
	now.Values = edit(slices.Clone(before), strconv.Quote(info.Value))
	if slices.Equal(before, now.Values) {
		return nil
	}
	request := map[string][]rrset{"deletions": there.Sets}
	if len(now.Values) > 0 {
		request["additions"] = []rrset{now}
	}
	var change struct{ ID, Status string }
	if err := g.call(ctx, http.MethodPost, path+"/changes", request, &change); err != nil {
		return err
	}
	return await(ctx, g.propagation, g.polling, func() (bool, error) {
		if change.Status != "pending" {
			return true, nil
		}
		return false, g.call(ctx, http.MethodGet, path+"/changes/"+url.PathEscape(change.ID), nil, &change)
	})
}

func (g *google) zoneOf(ctx context.Context, fqdn string) (string, error) {
	if g.zone != "" {
		return g.zone, nil
	}
	for name := range zones(fqdn) {
		var list struct {
			Zones []struct{ Name, Visibility string } `json:"managedZones"`
		}
		if err := g.call(ctx, http.MethodGet, "/managedZones?"+url.Values{"dnsName": {name + "."}}.Encode(), nil, &list); err != nil {
			return "", err
		}
		for _, z := range list.Zones {
			if z.Visibility != "private" {
				return z.Name, nil
			}
		}
	}
	return "", fmt.Errorf("%w for %s", errNoZone, fqdn)
}

func (g *google) call(ctx context.Context, method, path string, request, into any) error {
	var body []byte
	contentType := ""
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
		contentType = "application/json"
	}
	data, err := g.rest.call(ctx, method, g.base+path, contentType, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
