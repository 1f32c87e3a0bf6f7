package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/secret"
)

// Admits reports whether the registry lets user in, and whether it asks for a login at
// all. Where it sends clients to a token server, that is asked.
func (e Endpoint) Admits(ctx context.Context, user string, password secret.String) (admits, asks bool, err error) {
	client, err := e.client()
	if err != nil {
		return false, false, err
	}
	defer client.CloseIdleConnections()
	open, err := e.base(ctx, client, "", secret.String{})
	if err != nil || open.code != http.StatusUnauthorized {
		return true, false, err
	}
	if scheme, rest, _ := strings.Cut(open.challenge, " "); strings.EqualFold(scheme, "bearer") {
		admits, err = e.token(ctx, client, rest, user, password)
		return admits, true, err
	}
	in, err := e.base(ctx, client, user, password)
	return err == nil && in.code == http.StatusOK, true, err
}

// challengeParameter is one of RFC 9110, section 11.2, as registries write it.
var challengeParameter = regexp.MustCompile(`(\w+)="([^"]*)"`)

// token asks for a token that is good for nothing but a login.
func (e Endpoint) token(ctx context.Context, own *http.Client, challenge, user string, password secret.String) (bool, error) {
	said := map[string]string{}
	for _, m := range challengeParameter.FindAllStringSubmatch(challenge, -1) {
		said[strings.ToLower(m[1])] = m[2]
	}
	realm, err := url.Parse(said["realm"])
	if err != nil || realm.Host == "" {
		return false, fmt.Errorf("%s names no token server: %s", e.URL, challenge)
	}
	client := http.DefaultClient // another server's certificate must be good
	if self, err := url.Parse(e.URL); err == nil && self.Host == realm.Host {
		client = own
	}
	query := realm.Query()
	query.Set("service", said["service"])
	realm.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return false, err
	}
	if user != "" {
		req.SetBasicAuth(user, password.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode < http.StatusInternalServerError {
		return resp.StatusCode == http.StatusOK, err
	}
	return false, fmt.Errorf("%s answers %s", said["realm"], resp.Status)
}
