package embeddedregistry

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Blobs whose size lies at and around the ends of records and batches come whole,
// one after the other on one connection, and none waits for the next.
func TestBatchedBlobs(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, withTLS, first(t, a))
	c := a.client()
	base := "https://" + s.addr + "/v2/app/blobs/"
	send := func(method, url string, body []byte) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for _, n := range []int{1, fullRecord, 2 * fullRecord, 3 * fullRecord, 4 * fullRecord, batchSize + 1, 8*batchSize - 1, 64 * fullRecord} {
		data := bytes.Repeat([]byte{byte(n), byte(n >> 8), byte(n >> 16), 7, 11}, n/5+1)[:n]
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		resp := send(http.MethodPost, base+"uploads/", nil)
		resp.Body.Close()
		resp = send(http.MethodPut, resp.Header.Get("Location")+"&digest="+digest, data)
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%d bytes: PUT: %s", n, resp.Status)
		}
		for range 3 {
			resp = send(http.MethodGet, base+digest, nil)
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: %s, got %d (%v)", n, resp.Status, len(got), err)
			}
		}
	}
}
