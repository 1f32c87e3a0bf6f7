package embeddedregistry

import (
	"io"
	"net/http"
	"sync"
)

// chunk is how much of an upload is read, stored and hashed at a time. io.Copy's
// 32 KB cost twice the system calls that a core can spare beside hashing.
const chunk = 512 << 10

// wideUploads has request bodies copied in bigger pieces. It is for storage whose
// writers count what they were given: distribution's blob writer, written to piece by
// piece, forgets its digest where they count only what they have sent on, as S3's do.
func wideUploads(next http.Handler) http.Handler {
	pool := &sync.Pool{New: func() any { return new([chunk]byte) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || r.Method == http.MethodPatch || r.Method == http.MethodPost {
			if r.ContentLength > chunk || r.ContentLength < 0 {
				r.Body = wideBody{r.Body, pool}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// wideBody is a body that io.Copy reads by way of WriteTo.
type wideBody struct {
	io.ReadCloser
	pool *sync.Pool
}

func (b wideBody) WriteTo(w io.Writer) (int64, error) {
	buf := b.pool.Get().(*[chunk]byte)
	defer b.pool.Put(buf)
	// Hidden, so that neither end's own way of copying is taken.
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{b.ReadCloser}, buf[:])
}
