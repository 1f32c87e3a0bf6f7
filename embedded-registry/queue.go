package embeddedregistry

import (
	"context"
	"slices"
	"sync"
)

// mostWaiting bounds those who wait in one user's line and in all lines: past that
// they are put off at once.
const (
	mostWaitingLine = 64
	mostWaiting     = 4096
)

// queue shares out a few slots fairly: by turns among addresses, and of each address
// among the users that it names, so that who tries a thousand passwords takes turns
// with who tries one.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting int
	lanes   []*lane // by address; the first is next
}

type lane struct {
	address string
	lines   []*line // by user; the first is next
}

type line struct {
	user    string
	waiters []chan struct{} // each closed when its turn comes
}

func newQueue(slots int) *queue { return &queue{free: slots} }

// enter waits for a slot, which leave gives back. It reports false when ctx is done
// first, or too many wait.
func (q *queue) enter(ctx context.Context, address, user string) bool {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	added := q.add(address, user, turn)
	q.mu.Unlock()
	if !added {
		return false
	}
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.remove(address, user, turn) {
		q.pass() // the turn came just now, and nobody is there to take it
	}
	return false
}

// leave hands the slot to the next in turn.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass()
}

func (q *queue) add(address, user string, turn chan struct{}) bool {
	if q.waiting >= mostWaiting {
		return false
	}
	a := slices.IndexFunc(q.lanes, func(l *lane) bool { return l.address == address })
	if a < 0 {
		a = len(q.lanes)
		q.lanes = append(q.lanes, &lane{address: address})
	}
	of := q.lanes[a]
	u := slices.IndexFunc(of.lines, func(l *line) bool { return l.user == user })
	if u < 0 {
		u = len(of.lines)
		of.lines = append(of.lines, &line{user: user})
	}
	if len(of.lines[u].waiters) >= mostWaitingLine {
		return false
	}
	of.lines[u].waiters = append(of.lines[u].waiters, turn)
	q.waiting++
	return true
}

// pass gives the slot to who is next; lane and line go to the end.
func (q *queue) pass() {
	if q.waiting == 0 {
		q.free++
		return
	}
	q.waiting--
	address := q.lanes[0]
	q.lanes = q.lanes[1:]
	user := address.lines[0]
	address.lines = address.lines[1:]
	close(user.waiters[0])
	if user.waiters = user.waiters[1:]; len(user.waiters) > 0 {
		address.lines = append(address.lines, user)
	}
	if len(address.lines) > 0 {
		q.lanes = append(q.lanes, address)
	}
}

// remove takes one who gave up out of line; false where the turn has come.
func (q *queue) remove(address, user string, turn chan struct{}) bool {
	for a, of := range q.lanes {
		for u, l := range of.lines {
			i := slices.Index(l.waiters, turn)
			if of.address != address || l.user != user || i < 0 {
				continue
			}
			q.waiting--
			if l.waiters = slices.Delete(l.waiters, i, i+1); len(l.waiters) == 0 {
				of.lines = slices.Delete(of.lines, u, u+1)
			}
			if len(of.lines) == 0 {
				q.lanes = slices.Delete(q.lanes, a, a+1)
			}
			return true
		}
	}
	return false
}
