//go:build !linux

package enginetest

import "testing"

// Dockerd skips the test: an engine of one's own needs Linux.
func Dockerd(t testing.TB) (sock string, restart func()) {
	t.Helper()
	t.Skip("needs dockerd")
	return "", nil
}
