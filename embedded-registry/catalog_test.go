package embeddedregistry

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
)

// The catalog shows what one may pull, by pages that are full and whose links tell no
// more.
func TestCatalogIsFiltered(t *testing.T) {
	s := serveTokens(t)
	as := func(user string) remote.Option { return remote.WithAuth(&authn.Basic{Username: user, Password: user}) }
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	var team []string
	push := func(repo string) {
		ref, err := name.ParseReference(s.addr + "/" + repo + ":1")
		if err == nil {
			err = remote.Write(ref, img, as("alice"), remote.WithContext(t.Context()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		team = append(team, fmt.Sprintf("team/app%d", i))
		push(team[i])
		push(fmt.Sprintf("secret%d", i))
		push(fmt.Sprintf("team%d", i))
	}
	registry, err := name.NewRegistry(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"alice": 15, "carol": 5} {
		all, err := remote.Catalog(t.Context(), registry, as(user))
		if err != nil || len(all) != want {
			t.Errorf("%s sees %v (%v), want %d", user, all, err, want)
		}
	}
	token, _ := s.token(t, "carol", "carol", "registry:catalog:*")
	var seen []string
	for path := "/v2/_catalog?n=2"; path != ""; {
		got := s.as(t, token, http.MethodGet, path)
		link := got.header.Get("Link")
		if got.status != 200 || strings.Contains(got.body+link, "secret") {
			t.Fatalf("%s: %d %s %s", path, got.status, got.body, link)
		}
		var page []string
		for _, repo := range team {
			if strings.Contains(got.body, `"`+repo+`"`) {
				page = append(page, repo)
			}
		}
		if seen = append(seen, page...); link != "" && len(page) != 2 {
			t.Errorf("%s: a page of %d", path, len(page))
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	if !slices.Equal(seen, team) {
		t.Errorf("page by page: %v", seen)
	}
	for _, n := range []string{"-1", "x", "99999"} {
		if got := s.as(t, token, http.MethodGet, "/v2/_catalog?n="+n); got.status != 400 {
			t.Errorf("n=%s: %d", n, got.status)
		}
	}
	if got := s.as(t, token, http.MethodGet, "/v2/_catalog?n=0"); got.status != 200 || strings.Contains(got.body, "secret") {
		t.Errorf("n=0: %d %s", got.status, got.body)
	}
	if _, got := s.token(t, "", "", "registry:catalog:*"); got.status != 200 {
		t.Errorf("with a rule for anonymous: %d", got.status)
	}
	replace(t, filepath.Join(s.dir, extraName), tokensOn("\n  - {who: [alice], repositories: ['**'], actions: [pull]}\n"))
	wait(t, "the rule for anonymous has gone", func() bool {
		_, got := s.token(t, "", "", "registry:catalog:*")
		return got.status == 401
	})
	if all, err := remote.Catalog(t.Context(), registry, as("carol")); err != nil || len(all) != 0 {
		t.Errorf("carol, for whom there is no rule, sees %v (%v)", all, err)
	}
}

// A client of the protocol pushes and pulls, and pulls the canary by the credential
// that is for it, which opens nothing else.
func TestTokenClients(t *testing.T) {
	s := serveTokens(t)
	roundTrip(t, s.addr, remote.WithAuth(&authn.Basic{Username: "bob", Password: "bob"}))
	f := asked("one")
	f.Credential = canaryimage.Credential("probe", "phrase")
	ref, want := ask(t, s, f)
	probe := remote.WithAuth(&authn.Basic{Username: "probe", Password: "phrase"})
	for who, option := range map[string]remote.Option{"the canary's": probe, "carol": remote.WithAuth(&authn.Basic{Username: "carol", Password: "carol"})} {
		d, err := remote.Head(ref, option, remote.WithContext(t.Context()))
		if err != nil || d.Digest.String() != want.Index.String() {
			t.Errorf("%s: %v %v", who, d, err)
		}
	}
	for _, repo := range []string{"public/app", "team/app"} {
		other, _ := name.ParseReference(s.addr + "/" + repo + ":1")
		if _, err := remote.Head(other, probe); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s by the canary's credential: %v", repo, err)
		}
	}
	if _, err := remote.Head(ref); err == nil {
		t.Error("the canary without a credential")
	}
	token, _ := s.token(t, "probe", "phrase", "repository:regctl/canary:pull")
	path := "/v2/regctl/canary/manifests/one"
	if got := s.as(t, token, http.MethodGet, path); got.status != 200 {
		t.Errorf("by a token: %d", got.status)
	}
	f.Credential = canaryimage.Credential("probe", "another")
	ask(t, s, f)
	if got := s.as(t, token, http.MethodGet, path); got.status != 401 {
		t.Errorf("by the token of the canary before: %d", got.status)
	}
}
