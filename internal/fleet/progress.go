package fleet

import (
	"sync"
	"time"
)

// progress tells one event at a time.
type progress struct {
	tell  func(Event)
	total int

	mu   sync.Mutex
	done int
}

func (p *progress) began(i int, host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tell != nil {
		p.tell(Event{Host: host, Index: i, Done: p.done, Total: p.total})
	}
}

func (p *progress) ended(i int, host string, err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.tell != nil {
		p.tell(Event{Host: host, Index: i, Ended: true, Err: err, Duration: took, Done: p.done, Total: p.total})
	}
}
