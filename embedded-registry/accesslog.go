package embeddedregistry

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// accessLogged writes one JSON object a line for each request, when it has ended.
// As in distribution it is on unless log.accesslog.disabled; regctl renders it off.
func accessLogged(next http.Handler, out io.Writer) http.Handler {
	log := slog.New(slog.NewJSONHandler(out, nil))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			log.LogAttrs(r.Context(), slog.LevelInfo, "access",
				slog.String("remote", r.RemoteAddr),
				slog.String("method", r.Method),
				slog.String("host", r.Host),
				slog.String("uri", r.RequestURI),
				slog.String("proto", r.Proto),
				slog.Int("status", c.status),
				slog.Int64("bytes", c.bytes),
				slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
				slog.String("referer", r.Referer()),
				slog.String("userAgent", r.UserAgent()))
		}()
		next.ServeHTTP(c, r)
	})
}

// counter remembers what was answered, and passes on what else the writer can do.
type counter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	if status >= 200 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile within reach.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes += n
	return n, err
}

func (c *counter) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
