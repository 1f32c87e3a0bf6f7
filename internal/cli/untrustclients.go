package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

type untrustFlags struct {
	sshFlags
	all, restart, dryRun bool
}

func newUntrustClients(a *app) *cobra.Command {
	var u untrustFlags
	cmd := &cobra.Command{
		Use:   "untrust-clients",
		Short: "Take back what trust-clients did on hosts",
		Long: `Take back what trust-clients did on hosts, and no more: files get the bytes, mode and
owner that they had, or are gone again. Of a file that somebody else has changed
since, only our part is taken out. What other registries placed stays.`,
		Example: `  regctl untrust-clients --hosts 192.168.1.3
  regctl untrust-clients --all`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runUntrust(cmd, &u) },
	}
	u.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&u.all, "all", false, "every host that trusts the registry (it asks first)")
	f.BoolVar(&u.restart, "restart", false, "restart what takes a change over only when it starts; that may stop containers (it asks first)")
	f.BoolVar(&u.dryRun, "dry-run", false, "print what would be taken back, and change nothing")
	return cmd
}

func (a *app) runUntrust(cmd *cobra.Command, u *untrustFlags) error {
	ctx := cmd.Context()
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	if u.all && (len(u.hosts) > 0 || u.hostsFile != "" || u.retry) {
		return fault.Usage("leave --all away, or pick some of all with --limit", "--all names the hosts itself")
	}
	var others func() ([]string, error)
	if u.all {
		others = func() ([]string, error) { return statedir.Followers(r.Dir) }
	}
	hosts, err := a.chooseHosts(cmd, &u.sshFlags, r.Dir, others)
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		return a.nobody(ctx)
	}
	got, err := a.ask(ctx, &u.sshFlags)
	if err != nil {
		return err
	}
	if (u.all || u.restart) && !u.dryRun {
		question := fmt.Sprintf("have %d %s no longer trust %s?", len(hosts), plural(len(hosts), "host"), r.Spec.Endpoint())
		if u.restart {
			question = fmt.Sprintf("have %d %s no longer trust %s, and restart what needs it?", len(hosts), plural(len(hosts), "host"), r.Spec.Endpoint())
		}
		if err := a.ui.Confirm(ctx, question); err != nil {
			return err
		}
	}
	return a.overHosts(cmd, r, hosts, &u.sshFlags, got, clientsCommand{
		dryRun: u.dryRun, verb: "untrusting", verify: scenario.VerifyOptions{Mode: verify.None},
		settings: slices.Concat(kept, []string{"restart"}),
		do: func(ctx context.Context, h host.Host, known statedir.Client, _ *verify.Target) (clients.Report, error) {
			addresses := append(slices.Clone(known.Addresses), r.Spec.Address())
			return clients.Untrust(ctx, h, addresses, trust.Options{Restart: u.restart}, u.dryRun)
		},
		keep: func(c *statedir.Client, report clients.Report) {
			if report.Status != clients.Failed {
				c.Stores, c.Follows, c.Verified, c.VerifiedBy = nil, nil, nil, ""
			}
		},
	})
}
