package fleet

import (
	"context"
	"sync"
)

// LoginsPerAddress is how many new logins one sshd takes at a time before it begins
// to turn some away: its MaxStartups is 10:30:100.
const LoginsPerAddress = 8

// Gate lets so many in at a time for each key. The zero Gate lets in none; make one
// with NewGate.
type Gate struct {
	most int

	mu    sync.Mutex
	gates map[string]*door
}

type door struct {
	slots chan struct{}
	users int // those inside or waiting: when none are left the door goes
}

// NewGate lets in at most so many at a time for a key.
func NewGate(most int) *Gate { return &Gate{most: most, gates: map[string]*door{}} }

// Enter waits until there is room for key, or ctx is done. Without an error, the
// caller must call leave, once.
func (g *Gate) Enter(ctx context.Context, key string) (leave func(), err error) {
	g.mu.Lock()
	d := g.gates[key]
	if d == nil {
		d = &door{slots: make(chan struct{}, g.most)}
		g.gates[key] = d
	}
	d.users++
	g.mu.Unlock()
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots; g.forget(key, d) }, nil
	case <-ctx.Done():
		g.forget(key, d)
		return nil, context.Cause(ctx)
	}
}

func (g *Gate) forget(key string, d *door) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(g.gates, key)
	}
}
