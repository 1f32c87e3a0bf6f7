// Package fleet does one thing on many hosts: so many at a time, the results in
// order, and no host's failure another's. It knows neither what is done nor how a
// host is reached.
package fleet

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Options say how. The zero value is DefaultParallel hosts at a time, without a
// limit of time.
type Options struct {
	// Parallel is the most hosts at a time.
	Parallel int
	// PerHost is the most that one host may take; 0 means as long as it needs.
	PerHost time.Duration
	// Progress, when set, is told when a host begins and when it ends, one call at a
	// time. Hosts that were not reached are not told of.
	Progress func(Event)
}

// Event is a step of the run.
type Event struct {
	Host     string
	Index    int // of the host in the list
	Ended    bool
	Err      error         // of a host that has ended
	Duration time.Duration // of a host that has ended
	Done     int           // hosts that have ended, this one included
	Total    int
}

// Result is what came of one host.
type Result[T any] struct {
	Host string
	// Value is what the function returned, with an error too.
	Value T
	// Err is the function's; ErrNotReached when it was never called.
	Err      error
	Duration time.Duration
}

// ErrNotReached is the error of a host that an interrupt came before.
var ErrNotReached = errors.New("not reached: the run was interrupted before")

// DefaultParallel is 16 hosts a core, where sshd and its clients on one machine
// gained nothing from more; at least 16, at most 128.
func DefaultParallel() int { return min(max(16*runtime.GOMAXPROCS(0), 16), 128) }

// Run calls do for each host, the first ones first, and returns when all calls have
// returned: the results are in the order of the hosts, whatever became of others.
//
// The context of a call ends with ctx and with Options.PerHost. When ctx is done no
// further host is begun. A call that is at something that must not be left half done
// does that with a context from Uninterrupted; do must heed its own otherwise, since
// Run waits for it. A panic in do is that host's error.
//
// At no time are there more than Options.Parallel goroutines or calls.
func Run[T any](ctx context.Context, hosts []string, o Options, do func(ctx context.Context, host string) (T, error)) []Result[T] {
	results := make([]Result[T], len(hosts))
	for i, host := range hosts {
		results[i] = Result[T]{Host: host, Err: ErrNotReached}
	}
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel()
	}
	p := &progress{tell: o.Progress, total: len(hosts)}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(o.Parallel, len(hosts)) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					continue // it was handed out as the interrupt came
				}
				r := &results[i]
				p.began(i, r.Host)
				start := time.Now()
				r.Value, r.Err = one(ctx, r.Host, o.PerHost, do)
				r.Duration = time.Since(start)
				p.ended(i, r.Host, r.Err, r.Duration)
			}
		})
	}
	for i := range hosts {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return results
}

// Uninterrupted returns a context for something that must not be left half done: it
// outlives an interrupt, and ends when ctx would have by itself.
func Uninterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	whole := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(whole, deadline)
	}
	return context.WithCancel(whole)
}
