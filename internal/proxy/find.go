package proxy

import (
	"context"
	"errors"
)

// Find asks the proxy of that kind on PATH what it is and where it reads sites from.
// Nothing is changed. The errors have hints: not installed, its own configuration
// broken (by which file), no include that would read a site of ours.
func Find(ctx context.Context, kind Kind) (Server, error) {
	return Server{}, errors.ErrUnsupported
}

// Preflight refuses what cannot succeed before anything is touched: an address that
// another program holds, or that another site serves in a way that ours cannot share,
// a name that another site has, a folder that cannot be written, a site file that is
// somebody else's, a module that is missing.
func Preflight(ctx context.Context, server Server, site Site) error { return nil }
