package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

func newClientsCheck(a *app) *cobra.Command {
	var s sshFlags
	var w wishFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask each client again whether it trusts the registry",
		Long: `Ask each client again: is everything as trust-clients left it, and does a pull still
work? Nothing is changed. Exit status 4 says that a client has drifted: its CA was
replaced, an entry was taken out, or the certificate is not trusted any more.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCheck(cmd, &s, &w) },
	}
	s.register(cmd)
	registerVerify(cmd, &w)
	return cmd
}

func (a *app) runCheck(cmd *cobra.Command, s *sshFlags, w *wishFlags) error {
	ctx := cmd.Context()
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	hosts, err := a.chooseHosts(cmd, s, r.Dir, func() ([]string, error) { return statedir.Followers(r.Dir) })
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		return a.nobody(ctx)
	}
	registry, err := r.ForClients()
	if err != nil {
		return err
	}
	inForce, err := r.InForce()
	if err != nil {
		return err
	}
	got, err := a.ask(ctx, s)
	if err != nil {
		return err
	}
	how, err := a.verifyOptions(w)
	if err != nil {
		return err
	}
	return a.overHosts(cmd, r, hosts, s, got, clientsCommand{
		check: true, verb: "checking", verify: how,
		do: func(ctx context.Context, h host.Host, known statedir.Client, how *verify.Target) (clients.Report, error) {
			wish := clients.Wish{Registry: registry, Verify: how}
			placed(known, &wish)
			report, err := clients.Check(ctx, h, wish)
			if report.Status != clients.Drifted || r.Rotation() == "" {
				return report, err
			}
			// While the CA is being replaced, the one in force is enough.
			wish.Registry = inForce
			return clients.Check(ctx, h, wish)
		},
		keep: func(*statedir.Client, clients.Report) {},
	})
}

// placed turns a client's record into what was asked of it.
func placed(known statedir.Client, wish *clients.Wish) {
	for _, s := range known.Follows {
		wish.Stores, wish.Options.Record = append(wish.Stores, trust.Store(s)), true
	}
	for _, s := range known.Stores {
		switch store := trust.Store(s.Store); {
		case store == trust.MapHost:
			wish.Options.MapHost = strings.Join(known.Settings["map-host"], "")
		case store == trust.Mirror:
			wish.Options.AsMirror = true
		case slices.Contains(trust.Stores(), store) && !slices.Contains(wish.Stores, store):
			wish.Stores = append(wish.Stores, store)
		}
	}
}
