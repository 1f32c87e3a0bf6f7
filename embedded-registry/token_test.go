package embeddedregistry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// tokenRules are those of most tests here.
const tokenRules = `
  - {who: [alice], repositories: ["**"], actions: [pull, push, delete]}
  - {who: [bob], repositories: ["team/*", "bob/**"], actions: [push]}
  - {who: ["*"], repositories: ["team/**"], actions: [pull]}
  - {who: [anonymous], repositories: [public/app], actions: [pull]}
`

func tokensOn(rules string) string {
	return "auth:\n  realm: r\n  token:\n    service: registry.test\n    issuer: us\n    rules:" + strings.ReplaceAll(rules, "\n", "\n    ")
}

func newTokenKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// serveTokens is a registry with users alice, bob and carol, each with their name for
// a password.
func serveTokens(t *testing.T) *served {
	t.Helper()
	var users string
	for _, u := range []string{"alice", "bob", "carol"} {
		users += u + ":" + hashed(t, u) + "\n"
	}
	_, key := newTokenKey(t)
	return serve(t, plain, func(dir string, _ *Options) {
		write(t, filepath.Join(dir, "htpasswd"), users)
		write(t, filepath.Join(dir, extraName), tokensOn(tokenRules))
		write(t, filepath.Join(dir, tokenKeyName), key)
	})
}

// token asks for one; user "" does not log in.
func (s *served) token(t *testing.T, user, password string, scopes ...string) (string, answer) {
	t.Helper()
	ask := "http://" + s.addr + "/token?" + url.Values{"service": {"registry.test"}, "scope": scopes}.Encode()
	got := send(t, http.MethodGet, ask, "", func(r *http.Request) {
		if user != "" {
			r.SetBasicAuth(user, password)
		}
	})
	return tokenIn(t, got), got
}

func tokenIn(t *testing.T, a answer) string {
	t.Helper()
	var body struct{ Token string }
	if a.status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Token == "" {
			t.Fatalf("%s: %v", a.body, err)
		}
	}
	return body.Token
}

// as sends a request that shows a token, unless it is "".
func (s *served) as(t *testing.T, token, method, path string) answer {
	t.Helper()
	return send(t, method, "http://"+s.addr+path, "", func(r *http.Request) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	})
}

func send(t *testing.T, method, url, body string, dress func(*http.Request)) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	dress(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// probes are a request for each action, on a repository that need not be there.
var probes = map[string]struct{ method, path string }{
	"pull":   {http.MethodGet, "/v2/%s/manifests/none"},
	"push":   {http.MethodPost, "/v2/%s/blobs/uploads/"},
	"delete": {http.MethodDelete, "/v2/%s/manifests/sha256:" + strings.Repeat("0", 64)},
}

// Who may do what where, as the rules say, and by no token more.
func TestTokenTable(t *testing.T) {
	s := serveTokens(t)
	allowed := map[string]string{ // by user and repository
		"alice team/app": "pull push delete", "alice deep/in/it": "pull push delete", "alice public/app": "pull push delete",
		"bob team/app": "pull push", "bob team/app/x": "pull", "bob bob/a/b": "pull push", "bob public/app": "pull",
		"carol team/app": "pull", "carol team/app/x": "pull", "carol public/app": "pull",
		" public/app": "pull",
	}
	for _, user := range []string{"alice", "bob", "carol", ""} {
		for _, repo := range []string{"team/app", "team/app/x", "team", "steam/app", "bob/a/b", "public/app", "public/app/x", "deep/in/it"} {
			token, _ := s.token(t, user, user, "repository:"+repo+":pull,push,delete")
			wants := allowed[user+" "+repo]
			if user == "alice" {
				wants = "pull push delete"
			}
			for action, p := range probes {
				want := strings.Contains(wants, action)
				got := s.as(t, token, p.method, fmt.Sprintf(p.path, repo))
				if in := got.status != http.StatusUnauthorized; in != want || got.status >= 500 {
					t.Errorf("%q %s %s: %d, want it allowed: %v\n%s", user, action, repo, got.status, want, got.body)
				}
			}
		}
	}
	all, _ := s.token(t, "alice", "alice", "repository:team/app:*")
	if got := s.as(t, all, http.MethodDelete, fmt.Sprintf(probes["delete"].path, "team/app")); got.status != http.StatusNotFound {
		t.Errorf("a token for *: %d", got.status)
	}
	one, _ := s.token(t, "alice", "alice", "repository:team/app:pull")
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, "/v2/team/app/blobs/uploads/"},
		{http.MethodGet, "/v2/other/manifests/none"},
		{http.MethodGet, "/v2/_catalog"},
	} {
		got := s.as(t, one, c.method, c.path)
		if got.status != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
			t.Errorf("%s %s with a token to pull team/app: %d %v", c.method, c.path, got.status, got.header)
		}
	}
	both, _ := s.token(t, "bob", "bob", "repository:team/app:push repository:secret:pull")
	mount := "/v2/team/app/blobs/uploads/?mount=sha256:" + strings.Repeat("0", 64) + "&from="
	if got := s.as(t, both, http.MethodPost, mount+"secret"); got.status != 401 {
		t.Errorf("bob mounts a blob of a repository that he may not pull: %d", got.status)
	}
	if got := s.as(t, both, http.MethodPost, mount+"team/app"); got.status != 401 { // pull was not asked for
		t.Errorf("a token to push alone: %d", got.status)
	}
}

// What a client is told: where tokens are, and what for.
func TestTokenProtocol(t *testing.T) {
	s := serveTokens(t)
	open := s.as(t, "", http.MethodPost, "/v2/team/app/blobs/uploads/")
	want := `Bearer realm="http://` + s.addr + `/token",service="registry.test",scope="repository:team/app:pull,push"`
	if got := open.header.Get("WWW-Authenticate"); open.status != 401 || got != want {
		t.Errorf("challenge %d %s, want %s", open.status, got, want)
	}
	forwarded := send(t, http.MethodGet, "http://"+s.addr+"/v2/", "", func(r *http.Request) {
		r.Host = "registry.test"
		r.Header.Set("X-Forwarded-Proto", "https")
	})
	if got := forwarded.header.Get("WWW-Authenticate"); got != `Bearer realm="https://registry.test/token",service="registry.test"` {
		t.Errorf("behind a proxy: %s", got)
	}
	if got := send(t, http.MethodGet, "http://"+s.addr+"/v2/", "", func(r *http.Request) { r.SetBasicAuth("alice", "alice") }); got.status != 401 {
		t.Errorf("a password in place of a token: %d", got.status)
	}
	login, got := s.token(t, "carol", "carol")
	if got.header.Get("Cache-Control") != "no-store" || !strings.Contains(got.body, `"expires_in":300`) || !strings.Contains(got.body, `"issued_at":"2`) {
		t.Errorf("a token: %v %s", got.header, got.body)
	}
	if got := s.as(t, login, http.MethodGet, "/v2/"); got.status != 200 {
		t.Errorf("/v2/ after a login: %d", got.status)
	}
	for _, c := range []struct{ user, password string }{{"carol", "wrong"}, {"nobody", "x"}, {"", ""}} {
		_, got := s.token(t, c.user, c.password, "repository:team/app:pull")
		if got.status != 401 || got.header.Get("WWW-Authenticate") != `Basic realm="r"` {
			t.Errorf("%q: %d %v", c.user, got.status, got.header)
		}
	}
	post := func(form url.Values) answer {
		return send(t, http.MethodPost, "http://"+s.addr+"/token", form.Encode(), func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		})
	}
	form := url.Values{
		"grant_type": {"password"}, "service": {"registry.test"}, "client_id": {"test"}, "username": {"bob"}, "password": {"bob"},
		"scope": {"repository:team/app:pull,push repository:other:pull"},
	}
	got = post(form)
	var answered struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	if err := json.Unmarshal([]byte(got.body), &answered); err != nil || answered.Scope != "repository:team/app:pull,push" {
		t.Errorf("OAuth2: %d %s", got.status, got.body)
	}
	if got := s.as(t, answered.Token, http.MethodPost, "/v2/team/app/blobs/uploads/"); got.status != 202 {
		t.Errorf("with the token of OAuth2: %d", got.status)
	}
	form.Set("password", "wrong")
	if got := post(form); got.status != 401 {
		t.Errorf("OAuth2 with a wrong password: %d", got.status)
	}
	for _, bad := range []url.Values{{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, {"scope": {strings.Repeat("a:b:c ", 100)}, "grant_type": {"password"}}} {
		if got := post(bad); got.status < 400 || got.status >= 500 || got.status == 401 {
			t.Errorf("%v: %d", bad, got.status)
		}
	}
	if got := send(t, http.MethodDelete, "http://"+s.addr+"/token", "", func(*http.Request) {}); got.status != 405 || got.header.Get("Allow") == "" {
		t.Errorf("DELETE /token: %d", got.status)
	}
	write(t, filepath.Join(s.dir, "ctl", "readonly"), "")
	wait(t, "read-only", func() bool { return s.as(t, "", http.MethodPost, "/v2/x/blobs/uploads/").status == 503 })
	form.Set("password", "bob")
	if got := post(form); got.status != 200 {
		t.Errorf("a token while the registry is read-only: %d", got.status)
	}
}

// A change of rules, users or key counts at once, also for tokens that are out.
func TestTokensFollowTheFiles(t *testing.T) {
	s := serveTokens(t)
	pull := fmt.Sprintf(probes["pull"].path, "team/app")
	status := func(token string) int { return s.as(t, token, http.MethodGet, pull).status }
	get := func(user string) string {
		t.Helper()
		token, _ := s.token(t, user, user, "repository:team/app:pull")
		if got := status(token); got != http.StatusNotFound {
			t.Fatalf("%s: %d", user, got)
		}
		return token
	}
	alice, bob, carol := get("alice"), get("bob"), get("carol")
	replace(t, filepath.Join(s.dir, extraName), tokensOn("\n  - {who: [alice, bob], repositories: [team/app], actions: [pull]}\n"))
	wait(t, "the rule has gone", func() bool { return status(carol) == 401 })
	if a, b := status(alice), status(bob); a != 404 || b != 404 {
		t.Errorf("others: %d, %d", a, b)
	}
	replace(t, filepath.Join(s.dir, "htpasswd"), "alice:"+hashed(t, "new")+"\n")
	wait(t, "bob has gone", func() bool { return status(bob) == 401 })
	wait(t, "alice has another password", func() bool { return status(alice) == 401 })
	token, _ := s.token(t, "alice", "new", "repository:team/app:pull")
	if got := status(token); got != 404 {
		t.Errorf("alice with her new password: %d", got)
	}
	_, key := newTokenKey(t)
	replace(t, filepath.Join(s.dir, tokenKeyName), key)
	wait(t, "another key", func() bool { return status(token) == 401 })
	token, _ = s.token(t, "alice", "new", "repository:team/app:pull")
	if got := status(token); got != 404 {
		t.Errorf("a token of the new key: %d", got)
	}
	replace(t, filepath.Join(s.dir, tokenKeyName), "no key")
	wait(t, "a damaged key", func() bool { return status(token) == 503 })
	replace(t, filepath.Join(s.dir, tokenKeyName), key)
	wait(t, "the key again", func() bool { return status(token) == 404 })
	replace(t, filepath.Join(s.dir, extraName), authOn)
	wait(t, "passwords again", func() bool {
		return send(t, http.MethodGet, "http://"+s.addr+"/v2/", "", func(r *http.Request) { r.SetBasicAuth("alice", "new") }).status == 200
	})
	if got := s.as(t, token, http.MethodGet, pull); got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("a token where passwords are asked for: %d", got.status)
	}
}

// The key outlives the process: a token that is out is good after a restart.
func TestTokensOutliveARestart(t *testing.T) {
	s := serveTokens(t)
	token, _ := s.token(t, "carol", "carol", "repository:team/app:pull")
	s.stop(t)
	again := serve(t, plain, func(dir string, _ *Options) {
		for _, name := range []string{"htpasswd", extraName, tokenKeyName} {
			write(t, filepath.Join(dir, name), read(t, filepath.Join(s.dir, name)))
		}
	})
	if got := again.as(t, token, http.MethodGet, fmt.Sprintf(probes["pull"].path, "team/app")); got.status != 404 {
		t.Errorf("after a restart: %d", got.status)
	}
}

func TestTokenSettingsAreStrict(t *testing.T) {
	for text, want := range map[string]string{
		"auth: {realm: r, token: {service: s}}\n":                                                                      "1: auth.token: ",
		"auth: {realm: r, token: {service: s, issuer: i, rules: [{who: [a]}]}}\n":                                      "1: auth.token.rules[0]: ",
		"auth: {realm: r, token: {service: s, issuer: i, rules: [{who: [a], repositories: [x], actions: [write]}]}}\n": "1: auth.token.rules[0]: ",
		"auth: {realm: r, token: {service: s, issuer: i, rule: []}}\n":                                                 "1: auth: ",
	} {
		if _, err := parseExtra([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := parseExtra([]byte(tokensOn(tokenRules))); err != nil {
		t.Error(err)
	}
}
