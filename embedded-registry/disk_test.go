package embeddedregistry

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
)

// An upload in two big chunks, with a restart between them, comes back byte for
// byte, whole and in part: with a secret in the configuration, uploads survive.
func TestBigUploadAcrossRestart(t *testing.T) {
	s := serve(t, plain)
	data := make([]byte, 3*earlyPart+12345)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	half := 2*earlyPart - 1

	location := "/v2/app/blobs/uploads/"
	send := func(method, query string, body []byte, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+location+query, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			text, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s: %s: %s", method, resp.Status, text)
		}
		next, err := resp.Location()
		if err != nil {
			t.Fatal(err)
		}
		location = next.RequestURI()
	}
	send(http.MethodPost, "", nil, http.StatusAccepted)
	send(http.MethodPatch, "", data[:half], http.StatusAccepted)
	s.stop(t)
	dir := s.dir
	s = serve(t, plain, func(_ string, o *Options) {
		o.Rewrite = func(string) string { return dir + "/data" }
	})
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	send(http.MethodPut, "&digest="+digest, data[half:], http.StatusCreated)

	for _, part := range []struct{ from, to int }{{0, len(data)}, {earlyPart - 7, 2*earlyPart + 7}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/v2/app/blobs/"+digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.from, part.to-1))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, data[part.from:part.to]) {
			t.Errorf("%v: %s, %d bytes (%v), not those that went in", part, resp.Status, len(got), err)
		}
	}
}
