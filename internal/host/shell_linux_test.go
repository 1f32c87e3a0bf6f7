package host_test

import (
	"testing"

	"github.com/regctl/regctl/internal/host"
)

func newShell(t *testing.T) *host.Shell {
	t.Helper()
	s := host.NewShell(t.TempDir() + "/undo")
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func TestContractInAShell(t *testing.T) {
	contract(t, func(t *testing.T) host.Host { return newShell(t) })
}

func TestContractOfEditsOnALocalHost(t *testing.T) {
	editContract(t, func(t *testing.T) host.Host {
		l := host.NewLocal(nil)
		l.UndoDir = t.TempDir() + "/undo"
		return l
	})
}
