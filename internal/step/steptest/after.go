package steptest

import (
	"context"
	"sync/atomic"
)

// countdown is a context that ends by itself after it was asked a number of times.
type countdown struct {
	context.Context
	left   atomic.Int64
	cancel context.CancelFunc
}

func after(parent context.Context, n int) context.Context {
	ctx, cancel := context.WithCancel(parent)
	c := &countdown{Context: ctx, cancel: cancel}
	c.left.Store(int64(n))
	return c
}

func (c *countdown) Err() error {
	c.tick()
	return c.Context.Err()
}

func (c *countdown) Done() <-chan struct{} {
	c.tick()
	return c.Context.Done()
}

func (c *countdown) tick() {
	if c.left.Add(-1) < 0 {
		c.cancel()
	}
}
