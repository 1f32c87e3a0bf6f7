package scenario

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// An upstream that gives tokens is asked for one where it says; its answer decides.
func TestAskUpstreamForAToken(t *testing.T) {
	var up *httptest.Server
	up = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/v2/":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q,service=\"s\"", up.URL+"/token"))
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Query().Get("service") != "s" || user != "puller" || password != "right":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer up.Close()
	file := filepath.Join(t.TempDir(), "password")
	r := &Registry{Spec: spec.Default()}
	r.Spec.Mirror = spec.Mirror{Of: up.URL, Username: "puller", PasswordFile: file}
	for text, refused := range map[string]bool{"right\n": false, "wrong": true, "": true, "a\nb": true} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		warning, err := r.AskUpstream(t.Context())
		if fault.IsUsage(err) != refused || warning != "" {
			t.Errorf("%q: %q, %v", text, warning, err)
		}
	}
	r.Spec.Mirror = spec.Mirror{Of: up.URL}
	if warning, err := r.AskUpstream(t.Context()); warning != "" || err != nil {
		t.Errorf("without a user: %q, %v", warning, err)
	}
	up.Close()
	if warning, err := r.AskUpstream(t.Context()); !strings.Contains(warning, "does not answer") || err != nil {
		t.Errorf("away: %q, %v", warning, err)
	}
}

func TestClientsKnowTheUpstream(t *testing.T) {
	r := &Registry{Spec: spec.Default()}
	r.Spec.Hosts, r.Spec.TLS.Mode, r.Spec.Mirror.Of = []string{"registry.test"}, spec.TLSNone, spec.DockerHub
	known, err := r.ForClients()
	if err != nil || known.Upstream() != "docker.io" {
		t.Errorf("%q, %v", known.Upstream(), err)
	}
}
