package embeddedregistry

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/crypto/bcrypt"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
)

// asked is a ctl/canary as regctl writes it.
func asked(tag string) canaryimage.File {
	return canaryimage.File{
		Version: canaryimage.Version, Tag: tag, Nonce: "0123456789" + strings.Repeat(tag, 8),
		Expires: time.Now().Add(time.Hour),
	}
}

// ask puts it there and returns the image's name and what it must be.
func ask(t *testing.T, s *served, f canaryimage.File) (name.Reference, *canaryimage.Image) {
	t.Helper()
	data, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "ctl", "canary"), string(data))
	ref, err := name.ParseReference(s.addr + "/" + canaryimage.Repository + ":" + f.Tag)
	if err != nil {
		t.Fatal(err)
	}
	want, err := canaryimage.New(f.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	return ref, want
}

func unask(t *testing.T, s *served) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "ctl", "canary")); err != nil {
		t.Fatal(err)
	}
}

// stored lists the files that the registry keeps.
func stored(t *testing.T, s *served) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "data"), func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

func canaryURL(s *served, path string) string {
	return "http://" + s.addr + "/v2/" + canaryimage.Repository + path
}

// Every platform's image is whole and what the file asked for; it is gone with the
// file, and nothing of it was stored or listed.
func TestCanaryPull(t *testing.T) {
	s := serve(t, plain)
	roundTrip(t, s.addr)
	before := stored(t, s)
	ref, want := ask(t, s, asked("one"))
	index, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := index.Digest(); err != nil || got.String() != want.Index.String() {
		t.Errorf("pulled %s, %v; want %s", got, err, want.Index)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	for _, p := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}, {OS: "linux", Architecture: "386"}} {
		img, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithPlatform(p))
		if err == nil {
			err = validate.Image(img)
		}
		if err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if tags, err := remote.List(ref.Context()); err != nil || len(tags) != 1 || tags[0] != "one" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if repos, err := remote.Catalog(t.Context(), ref.Context().Registry); err != nil || len(repos) != 1 || repos[0] != "team/app" {
		t.Errorf("catalog %v, %v", repos, err)
	}
	_, second := ask(t, s, asked("two"))
	if _, err := remote.Head(ref); err == nil {
		t.Error("the first run's tag is there in the second")
	}
	if resp := do(t, http.DefaultClient, "GET", canaryURL(s, "/manifests/"+second.Index.String())); resp.status != 200 {
		t.Errorf("the second run's: %d", resp.status)
	}
	unask(t, s)
	for _, path := range []string{"/manifests/two", "/manifests/" + second.Index.String(), "/tags/list"} {
		if resp := do(t, http.DefaultClient, "GET", canaryURL(s, path)); resp.status != 404 {
			t.Errorf("%s: %d after the file has gone", path, resp.status)
		}
	}
	if after := stored(t, s); len(after) != len(before) {
		t.Errorf("stored %d files, had %d", len(after), len(before))
	}
}

// What a client without a library sees.
func TestCanaryHTTP(t *testing.T) {
	s := serve(t, plain)
	_, want := ask(t, s, asked("raw"))
	var layer string
	for dgst, blob := range want.Blobs {
		if blob[0] == 0x1f {
			layer = dgst.String()
		}
	}
	get := func(method, path string, header ...string) *http.Response {
		req := httptest.NewRequestWithContext(t.Context(), method, canaryURL(s, path), nil)
		req.RequestURI = ""
		for i := 0; i < len(header); i += 2 {
			req.Header.Add(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	const ociIndex = "application/vnd.oci.image.index.v1+json"
	for _, c := range []struct{ path, accept, mediaType, digest string }{
		{"/manifests/raw", "", ociIndex, want.Index.String()},
		{"/manifests/raw", "*/*", ociIndex, want.Index.String()},
		{"/manifests/raw", canaryimage.DockerList + ", " + ociIndex, ociIndex, want.Index.String()},
		{"/manifests/raw", "application/json, " + canaryimage.DockerList, canaryimage.DockerList, want.DockerIndex.String()},
		{"/manifests/" + want.Index.String(), "", ociIndex, want.Index.String()},
		{"/manifests/" + want.DockerIndex.String(), ociIndex, canaryimage.DockerList, want.DockerIndex.String()},
		{"/blobs/" + layer, "", "application/octet-stream", layer},
		{"/blobs/" + layer + "?ns=registry.test:5000", "", "application/octet-stream", layer},
	} {
		for _, method := range []string{"HEAD", "GET"} {
			resp := get(method, c.path, "Accept", c.accept) //nolint:bodyclose // get closes it
			h := resp.Header
			if resp.StatusCode != http.StatusOK || h.Get("Content-Type") != c.mediaType || h.Get("Docker-Content-Digest") != c.digest ||
				h.Get("Docker-Distribution-Api-Version") != "registry/2.0" || resp.ContentLength < 1 {
				t.Errorf("%s %s accepting %q: %s, %d bytes, %v", method, c.path, c.accept, resp.Status, resp.ContentLength, h)
			}
		}
	}
	//nolint:bodyclose // get closes it
	if resp := get("GET", "/blobs/"+layer, "Range", "bytes=10-19"); resp.StatusCode != http.StatusPartialContent || resp.ContentLength != 10 {
		t.Errorf("a part: %s", resp.Status)
	}
	for path, code := range map[string]string{"/manifests/other": "MANIFEST_UNKNOWN", "/blobs/sha256:1": "BLOB_UNKNOWN", "/referrers/x": "NAME_UNKNOWN"} {
		if resp := do(t, http.DefaultClient, "GET", canaryURL(s, path)); resp.status != 404 || !strings.Contains(resp.body, code) {
			t.Errorf("%s: %d %s", path, resp.status, resp.body)
		}
	}
	if resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/"); resp.status != 200 || resp.body != "{}" {
		t.Errorf("/v2/: %d %s", resp.status, resp.body)
	}
	if resp := do(t, http.DefaultClient, "POST", canaryURL(s, "x/blobs/uploads/")); resp.status != http.StatusAccepted {
		t.Errorf("a name that only begins alike: %d", resp.status)
	}
}

func TestCanaryRefusesPush(t *testing.T) {
	s := serve(t, plain)
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := ask(t, s, asked("push"))
	for range 2 {
		if err := remote.Write(ref, img, remote.WithContext(t.Context())); err == nil || !strings.Contains(err.Error(), "DENIED") {
			t.Errorf("pushed: %v", err)
		}
		_ = os.Remove(filepath.Join(s.dir, "ctl", "canary"))
	}
	for _, path := range stored(t, s) {
		if strings.Contains(path, canaryimage.Repository) {
			t.Errorf("stored %s", path)
		}
	}
}

// It is served by a registry that takes no writes, however it came to that.
func TestCanaryWhereNothingIsWritten(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, canaryimage.Repository) {
			t.Errorf("the upstream was asked for %s", r.URL)
		}
	}))
	defer upstream.Close()
	for name, config := range map[string]string{
		"mirror":    plain + "proxy: {remoteurl: '" + upstream.URL + "'}\n",
		"read-only": strings.Replace(plain, "delete: {", "maintenance: {readonly: {enabled: true}}, delete: {", 1),
		"prefix":    strings.Replace(plain, "http: {", "http: {prefix: /p/, ", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, config)
			write(t, filepath.Join(s.dir, "ctl", "readonly"), "")
			_, want := ask(t, s, asked("ro"))
			url := canaryURL(s, "/manifests/ro")
			if name == "prefix" {
				url = strings.Replace(url, "/v2/", "/p/v2/", 1)
			}
			if resp := do(t, http.DefaultClient, "GET", url); resp.header.Get("Docker-Content-Digest") != want.Index.String() {
				t.Errorf("%d %s", resp.status, resp.body)
			}
		})
	}
}

// The credential in the file opens the canary and no more; the registry's users are
// let in as they are elsewhere, and without a credential they alone.
func TestCanaryAuth(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("alice's"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, plain+"auth: {htpasswd: {realm: r, path: DIR/htpasswd}}\n", func(dir string, _ *Options) {
		write(t, filepath.Join(dir, "htpasswd"), "alice:"+string(hash)+"\n")
	})
	alice := remote.WithAuth(&authn.Basic{Username: "alice", Password: "alice's"})
	roundTrip(t, s.addr, alice)
	status := func(path, user, password string) int {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "http://"+s.addr+"/v2/"+path, nil)
		req.RequestURI = ""
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != `Basic realm="r"` {
			t.Errorf("%s: challenge %q", path, resp.Header.Get("WWW-Authenticate"))
		}
		return resp.StatusCode
	}
	f := asked("auth")
	f.Credential = canaryimage.Credential("canary", "key")
	ref, _ := ask(t, s, f)
	const path = canaryimage.Repository + "/manifests/auth"
	for _, c := range []struct {
		path, user, password string
		want                 int
	}{
		{path, "", "", 401},
		{path, "canary", "key", 200},
		{path, "canary", "wrong", 401},
		{path, "alice", "alice's", 200},
		{path, "alice", "key", 401},
		{"", "canary", "key", 401},
		{"_catalog", "canary", "key", 401},
		{"team/app/manifests/1", "canary", "key", 401},
	} {
		if got := status(c.path, c.user, c.password); got != c.want {
			t.Errorf("%s as %q: %d, want %d", c.path, c.user, got, c.want)
		}
	}
	img, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: "canary", Password: "key"}))
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		t.Error(err)
	}
	ask(t, s, asked("auth"))
	if a, b := status(path, "canary", "key"), status(path, "alice", "alice's"); a != 401 || b != 200 {
		t.Errorf("without a credential in the file: %d, and for a user %d", a, b)
	}
}

func TestCanaryFileIsWrongOrOld(t *testing.T) {
	s := serve(t, plain)
	status := func() int { return do(t, http.DefaultClient, "GET", canaryURL(s, "/manifests/old")).status }
	old := asked("old")
	old.Expires = time.Now().Add(-time.Second)
	ask(t, s, old)
	if got := status(); got != 404 {
		t.Errorf("expired: %d", got)
	}
	for _, text := range []string{"tag: old\n", strings.Repeat("#", canaryimage.MaxFile+1)} {
		write(t, filepath.Join(s.dir, "ctl", "canary"), text)
		logged := len(s.log.String())
		for range 3 {
			if got := status(); got != 404 {
				t.Errorf("%.20s: %d", text, got)
			}
		}
		if got := s.log.String()[logged:]; strings.Count(got, "ctl/canary: ") != 1 {
			t.Errorf("logged: %s", got)
		}
	}
	ask(t, s, asked("old"))
	if got := status(); got != 200 {
		t.Errorf("mended: %d", got)
	}
}

// basicAuth is how a client's configuration file holds a credential.
func basicAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%s", user, password))
}
