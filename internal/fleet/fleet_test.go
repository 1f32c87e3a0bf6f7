package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("node%d", i)
	}
	return all
}

// However long each takes and however it ends, each has its place, and no more run
// at a time than may.
func TestRunKeepsOrderAndBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := names(100)
		var running, most atomic.Int64
		results := Run(t.Context(), hosts, Options{Parallel: 7}, func(_ context.Context, host string) (string, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			n := len(host) * int(host[len(host)-1]-'0')
			time.Sleep(time.Duration(n) * time.Second)
			if strings.HasSuffix(host, "3") {
				return "half", errors.New("refused")
			}
			return host + "!", nil
		})
		for i, r := range results {
			want, failed := hosts[i]+"!", strings.HasSuffix(hosts[i], "3")
			if failed {
				want = "half"
			}
			if r.Host != hosts[i] || r.Value != want || (r.Err != nil) != failed || r.Duration%time.Second != 0 {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if most.Load() != 7 {
			t.Errorf("%d at a time", most.Load())
		}
	})
}

func TestRunTellsProgress(t *testing.T) {
	var events []Event // no lock: the race detector tells if calls overlap
	boom := errors.New("boom")
	Run(t.Context(), names(50), Options{Parallel: 8, Progress: func(e Event) { events = append(events, e) }},
		func(context.Context, string) (int, error) { return 0, boom })
	begun, done := map[string]bool{}, 0
	for _, e := range events {
		if e.Total != 50 || e.Host != fmt.Sprintf("node%d", e.Index) || begun[e.Host] != e.Ended {
			t.Errorf("%+v", e)
		}
		begun[e.Host] = true
		if e.Ended {
			if done++; e.Done != done || !errors.Is(e.Err, boom) {
				t.Errorf("%+v", e)
			}
		}
	}
	if done != 50 {
		t.Errorf("%d have ended", done)
	}
}

// An interrupt lets what must not be left half done come to its end, stops the rest
// of those hosts, and begins no other.
func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		go func() {
			time.Sleep(1500 * time.Millisecond)
			interrupt()
		}()
		var whole atomic.Int64
		results := Run(ctx, names(10), Options{Parallel: 3, PerHost: time.Minute}, func(ctx context.Context, _ string) (string, error) {
			for part := range 2 {
				if ctx.Err() != nil {
					return fmt.Sprint("parts ", part), ctx.Err()
				}
				atom, done := Uninterrupted(ctx)
				defer done()
				select {
				case <-time.After(time.Second):
					whole.Add(1)
				case <-atom.Done():
					return "torn", atom.Err()
				}
			}
			return "done", nil
		})
		for i, r := range results {
			switch {
			case i < 3 && r.Value == "done" && r.Err == nil:
			case i >= 3 && errors.Is(r.Err, ErrNotReached) && r.Value == "" && r.Host == fmt.Sprintf("node%d", i):
			default:
				t.Errorf("%d: %+v", i, r)
			}
		}
		if whole.Load() != 6 {
			t.Errorf("%d parts were finished", whole.Load())
		}
	})
}

func TestRunInterruptedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		for _, r := range Run(ctx, names(3), Options{}, func(context.Context, string) (int, error) {
			t.Error("called")
			return 0, nil
		}) {
			if !errors.Is(r.Err, ErrNotReached) {
				t.Errorf("%+v", r)
			}
		}
	}
}

// A host that hangs ends by itself; the words say how long it had.
func TestRunPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := Run(t.Context(), []string{"slow", "quick", "own"}, Options{PerHost: 5 * time.Second}, func(ctx context.Context, host string) (int, error) {
			if host == "quick" {
				return 1, nil
			}
			atom, done := Uninterrupted(ctx)
			defer done()
			<-atom.Done() // a deadline is one for atomic parts too
			if host == "own" {
				return 0, fault.Fail("its own hint", "dial: %w", atom.Err())
			}
			return 0, fmt.Errorf("dial: %w", atom.Err())
		})
		slow := results[0]
		var timeout *TimeoutError
		if !errors.As(slow.Err, &timeout) || !strings.HasPrefix(slow.Err.Error(), "not done within 5s") || fault.Hint(slow.Err) == "" || slow.Duration != 5*time.Second {
			t.Errorf("%+v", slow)
		}
		if results[1].Err != nil || results[1].Duration != 0 {
			t.Errorf("%+v", results[1])
		}
		if fault.Hint(results[2].Err) != "its own hint" {
			t.Errorf("%+v", results[2])
		}
	})
}

func TestRunSurvivesAPanic(t *testing.T) {
	results := Run(t.Context(), []string{"a", "b"}, Options{Parallel: 1}, func(_ context.Context, host string) (int, error) {
		if host == "a" {
			var m map[string]int
			m[host]++ //nolint:govet,staticcheck // a panic is what is wanted
		}
		return 1, nil
	})
	if err := results[0].Err; err == nil || !strings.Contains(err.Error(), "nil map (fleet_test.go:") || fault.Hint(err) == "" {
		t.Error(err)
	}
	if results[1].Err != nil || results[1].Value != 1 {
		t.Errorf("%+v", results[1])
	}
}

// What a thousand hosts cost beyond their results does not depend on their number.
func TestRunThousand(t *testing.T) {
	hosts := names(1000)
	before := runtime.NumGoroutine()
	var most atomic.Int64
	Run(t.Context(), hosts, Options{Parallel: 32}, func(context.Context, string) (int, error) {
		if n := int64(runtime.NumGoroutine()); n > most.Load() {
			most.Store(n)
		}
		return 0, nil
	})
	if n := most.Load() - int64(before); n > 34 {
		t.Errorf("%d goroutines for 32 at a time", n)
	}
	bytes := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Run(b.Context(), hosts, Options{Parallel: 32, PerHost: time.Minute}, func(context.Context, string) (int, error) { return 0, nil })
		}
	}).AllocedBytesPerOp()
	if bytes > 2<<20 {
		t.Errorf("%d bytes for a thousand hosts", bytes)
	}
}

func TestRunOfNone(t *testing.T) {
	if got := Run(t.Context(), nil, Options{}, func(context.Context, string) (int, error) { return 0, nil }); len(got) != 0 {
		t.Error(got)
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(8)
		var mu sync.Mutex
		inside, most := map[string]int{}, map[string]int{}
		var all sync.WaitGroup
		for i := range 100 {
			key := []string{"a", "b"}[i%2]
			all.Go(func() {
				leave, err := g.Enter(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				inside[key]++
				most[key] = max(most[key], inside[key])
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				inside[key]--
				mu.Unlock()
				leave()
			})
		}
		start := time.Now()
		all.Wait()
		if most["a"] != 8 || most["b"] != 8 || time.Since(start) != 7*time.Second {
			t.Errorf("%v at a time, %s", most, time.Since(start))
		}
		if len(g.gates) != 0 {
			t.Errorf("%d doors are left", len(g.gates))
		}
	})
}

func TestGateGivesUp(t *testing.T) {
	g := NewGate(1)
	leave, err := g.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Enter(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave()
	if leave, err = g.Enter(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	leave()
	if len(g.gates) != 0 {
		t.Errorf("%d doors are left", len(g.gates))
	}
}
