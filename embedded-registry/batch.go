package embeddedregistry

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

const (
	// fullRecord is a TLS record's most plaintext; crypto/tls sends each record by
	// itself, and so wakes the client for each.
	fullRecord = 16 << 10
	// batchSize holds three full records with what goes around them.
	batchSize = 64 << 10
)

// batchListener makes connections that can batch, for TLS to go over.
type batchListener struct{ net.Listener }

func (l batchListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &batchConn{Conn: c}, nil
}

// batchConn sends several full records at once while a handler runs. A record that
// is not full ends what is held, so the end of a response never waits; between
// requests nothing is held.
type batchConn struct {
	net.Conn

	mu       sync.Mutex
	batching bool
	held     []byte
	err      error // of a write that the caller had been told went well
}

func (c *batchConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if !c.batching || len(p) < fullRecord {
		if err := c.flush(); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	if len(c.held)+len(p) > batchSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if c.held == nil {
		c.held = make([]byte, 0, batchSize)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *batchConn) flush() error {
	if len(c.held) > 0 {
		_, c.err = c.Conn.Write(c.held)
		c.held = c.held[:0]
	}
	return c.err
}

func (c *batchConn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batching = true
}

func (c *batchConn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.flush() // the next Write has the error
	c.batching, c.held = false, nil
}

type batchKey struct{}

// withBatch is http.Server.ConnContext.
func withBatch(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		if b, ok := t.NetConn().(*batchConn); ok {
			return context.WithValue(ctx, batchKey{}, b)
		}
	}
	return ctx
}

// batched batches the answers to GETs over HTTP/1.1, where a connection has one
// handler at a time.
func batched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(batchKey{}).(*batchConn); ok && r.Method == http.MethodGet && r.ProtoMajor == 1 {
			c.start()
			defer c.stop()
		}
		next.ServeHTTP(w, r)
	})
}
