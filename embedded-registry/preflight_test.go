package embeddedregistry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/tests3"
)

func keys(access, secretKey string) []parameters.Parameter {
	return []parameters.Parameter{{Name: "accesskey", Value: secret.New(access)}, {Name: "secretkey", Value: secret.New(secretKey)}}
}

// The check passes with what a registry needs and leaves nothing behind; whatever is
// missing is named.
func TestCheckS3(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t, "")
	config := inS3(bucket, false)
	took, err := CheckStorage(t.Context(), []byte(config), keys(tests3.AccessKey, tests3.SecretKey))
	if err != nil || took <= 0 || bucket.Objects() != 0 {
		t.Fatalf("%v after %v, %d objects left", err, took, bucket.Objects())
	}
	all := []string{"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}
	for i, missing := range all {
		rest := append(append([]string{}, all[:i]...), all[i+1:]...)
		user := "AKIAWITHOUT" + strings.ToUpper(missing[3:])
		bucket.Allow(user, tests3.SecretKey, rest...)
		_, err := CheckStorage(t.Context(), []byte(config), keys(user, tests3.SecretKey))
		if err == nil || fault.IsUsage(err) || !strings.Contains(err.Error(), "AccessDenied") || !strings.HasPrefix(fault.Hint(err), "allow "+missing+";") {
			t.Errorf("without %s: %v, hint %q", missing, err, fault.Hint(err))
		}
	}
	wrong := keys(tests3.AccessKey, "wrong")
	for _, c := range []struct {
		what, old, new string
		keys           []parameters.Parameter
		want           string
		usage          bool
	}{
		{"key", "", "", keys("AKIANOBODY", "wrong"), "the key is not accepted", false},
		{"secret", "", "", wrong, "the key is not accepted (SignatureDoesNotMatch)", false},
		{"bucket", "bucket: images", "bucket: imges", keys(tests3.AccessKey, tests3.SecretKey), "no such bucket", false},
		{"region", "us-east-1", "eu-north-1", keys(tests3.AccessKey, tests3.SecretKey), "in another region", false},
		{"scheme", "http://", "https://", wrong, "no such storage", false},
		{"name", bucket.URL, "http://s3.nowhere.invalid", wrong, "s3.nowhere.invalid", false},
		{"value", "forcepathstyle: true", "chunksize: 1", wrong, "chunksize", true},
	} {
		_, err := CheckStorage(t.Context(), []byte(strings.Replace(config, c.old, c.new, 1)), c.keys)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.IsUsage(err) != c.usage || fault.Hint(err) == "" {
			t.Errorf("wrong %s: %v, hint %q", c.what, err, fault.Hint(err))
		}
	}
	bucket.Stop()
	if _, err := CheckStorage(t.Context(), []byte(config), wrong); err == nil || !strings.Contains(err.Error(), "cannot be reached: dial tcp") {
		t.Errorf("nobody there: %v", err)
	}
}

// No Azure runs here: its answers are those that its documentation lists.
func TestCheckAzure(t *testing.T) {
	t.Parallel()
	key := []parameters.Parameter{{Name: "accountkey", Value: secret.New("a2V5")}}
	config := func(at string) []byte {
		return []byte("version: 0.1\nstorage: {azure: {accountname: acc, container: images, serviceurl: '" + at + "', credentials: {type: shared_key}}}\n")
	}
	for code, c := range map[string]struct {
		status int
		want   string
	}{
		"AuthenticationFailed":            {http.StatusForbidden, "the key is not accepted (AuthenticationFailed)"},
		"AuthorizationPermissionMismatch": {http.StatusForbidden, "not allowed to write an object"},
		"ContainerNotFound":               {http.StatusNotFound, "no such bucket or container"},
	} {
		stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("x-ms-error-code", code)
			w.WriteHeader(c.status)
		}))
		_, err := CheckStorage(t.Context(), config(stub.URL), key)
		if err == nil || fault.IsUsage(err) || !strings.Contains(err.Error(), c.want) || fault.Hint(err) == "" {
			t.Errorf("%s: %v", code, err)
		}
		stub.Close()
		if code == "ContainerNotFound" {
			_, err := CheckStorage(t.Context(), config(stub.URL), key)
			if err == nil || !strings.Contains(err.Error(), "cannot be reached: dial tcp") && !strings.Contains(err.Error(), "did not answer") {
				t.Errorf("nobody there: %v", err)
			}
		}
	}
	if _, err := CheckStorage(t.Context(), config("http://127.0.0.1:1"), []parameters.Parameter{{Name: "accountkey", Value: secret.New("%")}}); !fault.IsUsage(err) {
		t.Errorf("a key that is no base64: %v", err)
	}
}

func TestCheckLeavesLocalStorageAlone(t *testing.T) {
	t.Parallel()
	if took, err := CheckStorage(t.Context(), []byte("version: 0.1\nstorage: {filesystem: {rootdirectory: /nowhere}}\n"), nil); err != nil || took != 0 {
		t.Error(took, err)
	}
}
