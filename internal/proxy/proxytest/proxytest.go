// Package proxytest starts real proxies for tests, each with a configuration tree of
// its own, laid out as Debian has it.
package proxytest

import (
	"testing"

	"github.com/regctl/regctl/internal/proxy"
)

// Instance is a running proxy.
type Instance struct {
	Kind proxy.Kind
	Root string // the configuration's folder, in place of /etc/nginx or /etc/apache2
	// Bin goes first on PATH: its nginx, apachectl and apache2 use Root. proxy.Find
	// then finds this one.
	Bin string
	// Logs is the folder of its error.log.
	Logs string
}

// Start starts a proxy without any site but one that answers 404 on a port of its
// own, and ends it with the test. PATH is set for the test (t.Setenv), so that
// proxy.Find finds it; a parallel test uses New and Env. It skips where the server is
// not installed.
func Start(t *testing.T, kind proxy.Kind) *Instance { t.Helper(); return nil }
