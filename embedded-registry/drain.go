package embeddedregistry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// newcomerTime is how long a connection that has come may take to its first request once
// the registry stops.
const newcomerTime = time.Second

// newcomers are connections that have not asked for anything yet. http.Server closes
// them when it shuts down, those too whose first request it has just read: a client that
// tries one address after the other takes that for an answer, since it was let in.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	left  chan struct{} // one has asked, or gone; it holds one
}

type newcomerKey struct{}

// watch has the server tell of its connections, before it serves.
func (n *newcomers) watch(server *http.Server) {
	n.conns, n.left = map[net.Conn]bool{}, make(chan struct{}, 1)
	inner, handler := server.ConnContext, server.Handler
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.conns[c] = true
		return context.WithValue(inner(ctx, c), newcomerKey{}, c)
	}
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			n.leave(c)
		}
	}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(newcomerKey{}).(net.Conn); ok {
			n.leave(c)
		}
		handler.ServeHTTP(w, r)
	})
}

func (n *newcomers) leave(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.conns[c] {
		return
	}
	delete(n.conns, c)
	select {
	case n.left <- struct{}{}:
	default:
	}
}

// await waits until there are none, or ctx is done.
func (n *newcomers) await(ctx context.Context) {
	for {
		n.mu.Lock()
		waiting := len(n.conns)
		n.mu.Unlock()
		if waiting == 0 {
			return
		}
		select {
		case <-n.left:
		case <-ctx.Done():
			return
		}
	}
}

// drain lets nobody in any more, serves those who are in, and ends what takes longer than
// patience.
func drain(ctx context.Context, server *http.Server, ln net.Listener, in *newcomers, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = ln.Close() // it serves nobody any more, whatever it says
	server.SetKeepAlivesEnabled(false)
	settling, settled := context.WithTimeout(ctx, newcomerTime)
	in.await(settling)
	settled()
	if err := server.Shutdown(ctx); err != nil {
		logrus.Warnf("requests were cut off: not finished within %s", patience)
		_ = server.Close()
	}
}

// ended is how serving ends after a drain.
func ended(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)
}
