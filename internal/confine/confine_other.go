//go:build !linux

package confine

import "github.com/regctl/regctl/internal/fault"

// Enter needs Linux: elsewhere it always fails.
func Enter(uid, _ int, _ ...string) (*Confined, error) {
	return nil, fault.Usage("run regctl as the user that shall own the registry, not as root",
		"changing from root to user %d is done on Linux only", uid)
}
