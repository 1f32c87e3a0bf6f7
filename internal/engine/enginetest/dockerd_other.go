//go:build !linux

package enginetest

import "testing"

// Dockerd skips the test: an engine of one's own needs Linux.
func Dockerd(t testing.TB) (sock string, restart func()) {
	t.Helper()
	t.Skip("needs dockerd")
	return "", nil
}

// Client is an engine that stands for one on another machine.
type Client struct{ Sock, Etc string }

// DockerdWithEtc skips the test: an engine of one's own needs Linux.
func DockerdWithEtc(t testing.TB, _ string) Client {
	t.Helper()
	t.Skip("needs dockerd")
	return Client{}
}
