package engine

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestPull has a registry serve an image of which one thing is not what its digest says.
func TestPull(t *testing.T) {
	layer, config := "a layer", "{}"
	manifest := fmt.Sprintf(`{"schemaVersion":2,"layers":[{"digest":%q}],"config":{"digest":%q}}`, digest.FromString(layer), digest.FromString(config))
	index := fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"digest":%q}]}`, digest.FromString(manifest))
	at := func(kind, text string) string { return "/v2/a/b/" + kind + "/" + digest.FromString(text).String() }
	whole := map[string]string{"/v2/a/b/manifests/1": index, at("manifests", manifest): manifest, at("blobs", layer): layer, at("blobs", config): config}
	for spoilt := range whole {
		t.Run(spoilt, func(t *testing.T) {
			served := map[string]string{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, served[r.URL.Path]) }))
			defer server.Close()
			for path, text := range whole {
				served[path] = text
			}
			pull := Pull{Repository: "a/b", Tag: "1", Digests: []string{digest.FromString(index).String()}}
			e := Endpoint{URL: server.URL}
			if err := e.Pull(t.Context(), pull); err != nil {
				t.Fatal(err)
			}
			served[spoilt] += " "
			if err := e.Pull(t.Context(), pull); err == nil || !strings.Contains(err.Error(), "digest") && !strings.Contains(err.Error(), "came back as") {
				t.Errorf("a spoilt %s: %v", spoilt, err)
			}
		})
	}
}
