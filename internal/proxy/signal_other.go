//go:build !unix

package proxy

import "syscall"

// No server of ours runs there.
const (
	gracefulSignal = syscall.SIGHUP
	stopSignal     = syscall.SIGTERM
)
