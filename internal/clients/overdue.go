package clients

import (
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// overdue are the actions that a run which was killed did not live to do, by the
// host's ledger: they are done after what is planned. A restart waits until it is
// allowed; pending says so then.
func overdue(ledger []host.Entry, opts trust.Options) (ops []host.Op, pending []string) {
	for _, e := range ledger {
		if e.Kind != host.Act {
			continue
		}
		if service, restart := strings.CutPrefix(e.Path, "restart-service "); restart && !opts.Restart {
			pending = append(pending, service+" has still to be restarted, since an earlier run was cut short: run it again with --restart")
			continue
		}
		ops = append(ops, host.Op{Ref: host.Ref{Kind: host.Act, Path: e.Path}, Action: host.Restart, Before: host.AnyBefore})
	}
	return ops, pending
}
