//go:build linux

package proxytest

import "testing"

func (i *Instance) layApache(t *testing.T, top string) { t.Helper(); t.Skip("not yet") }
