//go:build unix

package proxy

import "syscall"

const (
	gracefulSignal = syscall.SIGUSR1
	stopSignal     = syscall.SIGTERM
)
