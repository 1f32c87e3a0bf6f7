package embeddedregistry

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regctl/regctl/internal/tests3"
)

// inS3 is a configuration whose keys are in a file of their own.
func inS3(s *tests3.Server, redirects bool) string {
	return fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  s3: {bucket: %s, regionendpoint: %q, region: us-east-1, forcepathstyle: true, rootdirectory: /of/mine}
  delete: {enabled: true}
  redirect: {disable: %v}
http: {addr: '127.0.0.1:0', secret: s}
`, tests3.Bucket, s.URL, !redirects)
}

func withKeys(t *testing.T) func(dir string, _ *Options) {
	return func(dir string, _ *Options) {
		write(t, filepath.Join(dir, secretsName), "accesskey="+tests3.AccessKey+"\nsecretkey="+tests3.SecretKey+"\n")
	}
}

// What is pushed is in the bucket, comes back, by way of the registry or from the
// bucket itself, and is gone when it was deleted.
func TestS3(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t, "")
	s := serve(t, inS3(bucket, false), withKeys(t))
	image := roundTrip(t, s.addr)
	if bucket.Objects() == 0 {
		t.Fatal("the bucket is empty")
	}
	blob := firstLayer(t, image)
	if got := do(t, direct, http.MethodGet, "http://"+s.addr+blob); got.status != http.StatusOK || len(got.body) < 1<<20 {
		t.Errorf("with no redirects: %d, %d bytes", got.status, len(got.body))
	}

	other := serve(t, inS3(bucket, true), withKeys(t))
	got := do(t, direct, http.MethodGet, "http://"+other.addr+blob)
	if at := got.header.Get("Location"); got.status != http.StatusTemporaryRedirect || !strings.HasPrefix(at, bucket.URL+"/"+tests3.Bucket+"/of/mine/") {
		t.Errorf("with redirects: %d to %q", got.status, at)
	} else if from := do(t, direct, http.MethodGet, at); from.status != http.StatusOK || len(from.body) < 1<<20 {
		t.Errorf("the bucket itself: %d, %d bytes", from.status, len(from.body))
	}

	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(s.addr + "/team/app@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(ref, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Get(ref, remote.WithContext(t.Context())); err == nil {
		t.Error("it is there after it was deleted")
	}
}

// direct follows no redirects.
var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func firstLayer(t *testing.T, image v1.Image) string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return "/v2/team/app/blobs/" + digest.String()
}
