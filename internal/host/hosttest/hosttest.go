// Package hosttest is a host for tests: what it answers is set by the test.
package hosttest

import (
	"context"

	"github.com/regctl/regctl/internal/host"
)

// Host answers with its fields. A nil LookFunc sees nothing, a nil DoFunc does
// every op and reports that it changed something.
type Host struct {
	LookFunc func(context.Context, []host.Ref) (host.Facts, error)
	DoFunc   func(context.Context, []host.Op) ([]host.Receipt, error)
}

var _ host.Host = Host{}

// Name implements host.Host.
func (h Host) Name() string { return "fake" }

// Look implements host.Host.
func (h Host) Look(ctx context.Context, refs []host.Ref) (host.Facts, error) {
	if h.LookFunc == nil {
		return host.Facts{}, nil
	}
	return h.LookFunc(ctx, refs)
}

// Do implements host.Host.
func (h Host) Do(ctx context.Context, ops []host.Op) ([]host.Receipt, error) {
	if h.DoFunc != nil {
		return h.DoFunc(ctx, ops)
	}
	var receipts []host.Receipt
	for _, op := range ops {
		receipts = append(receipts, host.Receipt{
			Host: h.Name(), Ref: op.Ref, Action: op.Action, After: op.Want.Hash(), Changed: true,
		})
	}
	return receipts, nil
}
