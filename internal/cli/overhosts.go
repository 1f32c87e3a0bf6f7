package cli

import (
	"context"
	"maps"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/verify"
)

// chooseHosts settles which hosts a command is about: those named, those of the last
// run, or where neither is given others.
func (a *app) chooseHosts(cmd *cobra.Command, s *sshFlags, d statedir.Dir, others func() ([]string, error)) ([]string, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	hosts, err := a.named(s)
	if err != nil {
		return nil, err
	}
	switch {
	case s.retry && hosts != nil:
		return nil, fault.Usage("leave one of the two away; --limit picks some of the hosts", "--retry-failed names the hosts itself")
	case s.retry:
		hosts, err = a.lastRun(cmd, d)
	case hosts == nil && others != nil:
		hosts, err = others()
	case hosts == nil:
		return nil, fault.Usage("for example --hosts 192.168.1.1,192.168.1.2, or --hosts-file FILE", "no hosts are named")
	}
	if err != nil || len(hosts) == 0 {
		return nil, err
	}
	return fleet.Limit(hosts, s.limit)
}

// nobody ends a command that has no hosts to go to.
func (a *app) nobody(ctx context.Context) error {
	a.ui.Say("nothing to do: there are no such hosts")
	return a.showClients(ctx, nil, false, false)
}

// clientsCommand is what the commands over clients differ in.
type clientsCommand struct {
	dryRun bool
	check  bool   // nothing is changed, but what was found is written down
	verb   string // for the live line
	verify scenario.VerifyOptions
	// settings go on record with the run, remember with each client.
	settings, remember []string
	do                 func(ctx context.Context, h host.Host, known statedir.Client, how *verify.Target) (clients.Report, error)
	keep               func(c *statedir.Client, report clients.Report)
}

// overHosts runs a command over hosts, with the registry locked unless nothing is
// written down, and prints what came of it.
func (a *app) overHosts(cmd *cobra.Command, r *scenario.Registry, hosts []string, s *sshFlags, got secrets, c clientsCommand) (err error) {
	ctx := cmd.Context()
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a login makes much garbage and keeps little of it
	}
	var how *verify.Target
	if !c.dryRun {
		if err := r.LockForClients(ctx, a.flag.lockTimeout, "regctl "+cmd.Name()); err != nil {
			return err
		}
		defer func() { err = firstError(err, r.Unlock()) }()
		var done func() error
		registry, err := r.ForClients()
		if err != nil {
			return err
		}
		if how, done, err = r.Verification(ctx, registry, c.verify); err != nil {
			return err
		}
		defer func() { err = firstError(err, done()) }()
	}
	if !c.dryRun && !c.check {
		all := settings(cmd, c.settings...)
		all[commandSetting] = []string{cmd.Name()}
		if _, err := statedir.BeginClientRun(r.Dir, hosts, all); err != nil {
			return err
		}
	}
	run, _, err := statedir.LastClientRun(r.Dir)
	if err != nil {
		return err
	}
	tell, end := a.progress(c.verb)
	stores, _ := cmd.Flags().GetStringSlice("store") // not every command has it
	dial := &dialers{a: a, flags: s, given: cmd.Flags().Changed, secrets: got, stores: stores, dryRun: c.dryRun}
	defer dial.close()
	over := clients.Run{
		Dir: r.Dir, Hosts: hosts, Dial: dial.dial,
		Fleet: fleet.Options{Parallel: s.parallel, PerHost: s.timeout, Progress: tell},
		Do: func(ctx context.Context, h host.Host, known statedir.Client) (clients.Report, error) {
			return c.do(ctx, h, known, how)
		},
	}
	if !c.dryRun {
		over.Keep = func(known *statedir.Client, report clients.Report) {
			if !c.check {
				known.Run = run.ID
				if report.Reached { // by these flags: others may be a slip
					known.Settings = merged(known.Settings, settings(cmd, c.remember...))
					if report.AsLogin {
						known.Settings[asLogin] = []string{"true"}
					}
				}
			}
			c.keep(known, report)
		}
	}
	results, err := over.Over(ctx)
	end()
	if err == nil && !c.dryRun && !c.check {
		err = statedir.TidyClients(r.Dir)
	}
	return firstError(err, a.showClients(ctx, results, c.dryRun, c.check))
}

// merged lays the flags given over those on record.
func merged(known, given map[string][]string) map[string][]string {
	all := maps.Clone(known)
	if all == nil {
		all = map[string][]string{}
	}
	maps.Copy(all, given)
	return all
}
