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
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

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
