package embeddedregistry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/sirupsen/logrus"
)

// recorder is an access controller that notes what distribution asks it.
type recorder struct{ wanted *[]auth.Access }

func (c recorder) Authorized(_ *http.Request, wanted ...auth.Access) (*auth.Grant, error) {
	*c.wanted = append([]auth.Access{}, wanted...)
	return nil, errors.New("noted")
}

// We ask for what distribution asks its own access controllers for, whatever the path.
func TestAccessesAreDistributions(t *testing.T) {
	logrus.SetOutput(io.Discard)
	t.Cleanup(func() { logrus.SetOutput(os.Stderr) })
	var theirs []auth.Access
	if err := auth.Register("regctl-recorder", func(map[string]any) (auth.AccessController, error) {
		return recorder{&theirs}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "/below/"} {
		config := &configuration.Configuration{
			Storage: configuration.Storage{"inmemory": nil}, Auth: configuration.Auth{"regctl-recorder": nil},
		}
		config.HTTP.Prefix, config.HTTP.Secret = prefix, "s"
		app, err := newApp(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = app.Shutdown() })
		ours := newAccesses(prefix)
		asked := 0
		digest := "sha256:" + strings.Repeat("0", 64)
		for _, path := range []string{
			"", "_catalog", "_catalog?n=1", "a/tags/list", "a/b/c/tags/list", "a/manifests/latest", "a/manifests/" + digest,
			"a/b/blobs/" + digest, "a/blobs/uploads/", "a/blobs/uploads", "a/blobs/uploads/xyz", "a/blobs/uploads/?mount=" + digest + "&from=x/y",
			"a/../b/manifests/latest", "a//manifests/latest", "a/manifests/manifests/latest", "manifests/manifests/latest", "A/manifests/latest",
			"a/%2e%2e/manifests/latest", "a%2fb/manifests/latest", "_catalog/tags/list", "a/referrers/" + digest, "nonsense",
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				request := func() *http.Request {
					return httptest.NewRequest(method, strings.TrimSuffix(prefix, "/")+"/v2/"+path, nil)
				}
				theirs = nil
				app.ServeHTTP(httptest.NewRecorder(), request())
				if theirs == nil {
					continue // nobody was asked: it answered without
				}
				asked++
				got, catalog := ours.of(request())
				if len(got)+len(theirs) > 0 && !reflect.DeepEqual(got, theirs) {
					t.Errorf("%s %s%s: %v, distribution %v", method, prefix, path, got, theirs)
				}
				if wants := strings.HasPrefix(path, "_catalog") && path != "_catalog/tags/list"; catalog != wants {
					t.Errorf("%s %s%s: the catalog: %v", method, prefix, path, catalog)
				}
			}
		}
		if asked < 70 {
			t.Errorf("distribution asked %d times alone", asked)
		}
		form := func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, strings.TrimSuffix(prefix, "/")+"/v2/a/blobs/uploads/", strings.NewReader(url.Values{"from": {"x"}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		}
		app.ServeHTTP(httptest.NewRecorder(), form())
		if got, _ := ours.of(form()); len(got) != 3 || !reflect.DeepEqual(got, theirs) {
			t.Errorf("a mount in a form: %v, distribution %v", got, theirs)
		}
	}
}
