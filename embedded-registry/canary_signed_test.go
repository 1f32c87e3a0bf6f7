package embeddedregistry

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
)

// Two registries that share nothing but their secret serve the same canary to who knows
// it, and to nobody else; with passwords of their own, with users', and with tokens.
func TestCanaryByName(t *testing.T) {
	for _, auth := range []string{"", "auth: {htpasswd: {realm: r, path: DIR/htpasswd}}\n"} {
		var both []*served
		for range 2 {
			both = append(both, serve(t, plain+auth, func(dir string, _ *Options) {
				write(t, filepath.Join(dir, "htpasswd"), "nobody:*\n")
			}))
		}
		word, password := canaryimage.Sign("s", [10]byte{7}, time.Now().Add(time.Hour))
		old, oldPassword := canaryimage.Sign("s", [10]byte{7}, time.Now().Add(-time.Second))
		other, _ := canaryimage.Sign("another", [10]byte{7}, time.Now().Add(time.Hour))
		file, _ := canaryimage.Signed("s", word)
		want, err := canaryimage.New(file.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		pull := func(s *served, word, password string) error {
			ref, err := name.ParseReference(s.addr + "/" + canaryimage.Repository + "/" + word + ":" + canaryimage.SignedTag)
			if err != nil {
				t.Fatal(err)
			}
			img, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: canaryimage.User, Password: password}))
			if err != nil {
				return err
			}
			return validate.Image(img)
		}
		for _, s := range both {
			if err := pull(s, word, password); err != nil {
				t.Errorf("%q: %v", auth, err)
			}
			for why, err := range map[string]error{"expired": pull(s, old, oldPassword), "another's": pull(s, other, password)} {
				if err == nil {
					t.Errorf("%q: %s was served", auth, why)
				}
			}
			if err := pull(s, word, "wrong"); (err == nil) != (auth == "") {
				t.Errorf("%q: with a wrong password: %v", auth, err)
			}
			if body, status := fetched(t, s, word, password); status != http.StatusOK || !strings.Contains(body, want.Manifests[want.Index].Type) {
				t.Errorf("%q: the index: %d, %s", auth, status, body)
			}
		}
	}
}

// fetched is the index by its digest, as another registry may have named it.
func fetched(t *testing.T, s *served, word, password string) (body string, status int) {
	t.Helper()
	file, _ := canaryimage.Signed("s", word)
	want, err := canaryimage.New(file.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, canaryURL(s, "/"+word+"/manifests/"+want.Index.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(canaryimage.User, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data := make([]byte, 1<<16)
	n, _ := resp.Body.Read(data)
	return string(data[:n]), resp.StatusCode
}
