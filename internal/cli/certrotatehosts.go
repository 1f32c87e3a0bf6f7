package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// rotation is a cert rotate-ca under way.
type rotation struct {
	app      *app
	r        *scenario.Registry
	flags    *sshFlags
	skip     bool // leave behind who cannot be reached
	hosts    []string
	dial     *dialers
	settings map[string][]string // the flags given, for the clients' records

	skipped []string // hosts left behind
	results []clients.Result
}

// round is one pass over all hosts.
type round struct {
	verb     string
	registry trust.Registry     // what they are to trust
	asked    *scenario.Registry // as it serves at the time
	change   func(*clients.Wish)
	unproven bool   // they cannot prove it yet
	failed   string // what to say when %s %s not ready
}

// everywhere has all hosts trust what about gives, each in the stores that it has
// already, and prove it. A host that fails is an error, unless it may be left behind.
func (x *rotation) everywhere(ctx context.Context, verb string, about func() (trust.Registry, error)) error {
	registry, err := about()
	if err != nil {
		return err
	}
	failed := "the CA was not switched: %s %s not ready"
	if x.r.Rotation() == statedir.Withdrawing {
		failed = "the old CA stays for now: %s %s not done with it"
	}
	return x.over(ctx, round{verb: verb, registry: registry, asked: x.r, change: func(*clients.Wish) {}, failed: failed})
}

// over does a round.
func (x *rotation) over(ctx context.Context, one round) (err error) {
	if len(x.hosts) == 0 {
		return nil
	}
	o := scenario.VerifyOptions{Mode: verify.Auto}
	provable, err := one.asked.Provable(ctx)
	if err != nil {
		return err
	}
	if one.unproven {
		o.Mode = verify.None
	} else if !provable {
		x.app.ui.Warn("the certificate in service is not valid, so that no client can prove its trust before there is another")
		o.Mode = verify.None
	}
	shown := one.registry
	shown.Plain = one.asked.Spec.TLS.Mode == spec.TLSNone
	if one.asked.PublicCA() {
		shown.CA = nil
	}
	how, done, err := one.asked.Verification(ctx, shown, o)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, done()) }()
	tell, end := x.app.progress(one.verb)
	x.app.ui.Say("%s: %d %s", one.verb, len(x.hosts), plural(len(x.hosts), "host"))
	over := clients.Run{
		Dir: x.r.Dir, Hosts: x.hosts, Dial: x.dial.dial,
		Fleet: fleet.Options{Parallel: x.flags.parallel, PerHost: x.flags.timeout, Progress: tell},
		Do: func(ctx context.Context, h host.Host, known statedir.Client) (clients.Report, error) {
			wish := clients.Wish{Registry: one.registry, Former: known.Addresses, Verify: how}
			placed(known, &wish)
			one.change(&wish)
			return clients.Trust(ctx, h, wish)
		},
		Keep: func(c *statedir.Client, report clients.Report) {
			c.Settings = merged(c.Settings, x.settings)
			keepTrust(c, report, one.registry)
		},
	}
	x.results, err = over.Over(ctx)
	end()
	if err := firstError(ctx.Err(), err, statedir.TidyClients(x.r.Dir)); err != nil {
		return err
	}
	return x.judge(one.failed)
}

// judge sorts out who was not reached and may be left behind.
func (x *rotation) judge(text string) error {
	var failed []clients.Result
	for _, one := range x.results {
		behind := slices.Contains(x.skipped, one.Host)
		switch {
		case one.Err == nil:
			x.skipped = slices.DeleteFunc(x.skipped, func(h string) bool { return h == one.Host })
		case one.Report.Reached || !behind && !x.skip:
			failed = append(failed, one)
		case !behind:
			x.skipped = append(x.skipped, one.Host)
		}
	}
	if len(failed) > 0 {
		return x.notReady(failed, text)
	}
	return nil
}

// keepTrust writes down what a host has been made to hold.
func keepTrust(c *statedir.Client, report clients.Report, registry trust.Registry) {
	known := c.Trusts() || len(c.Follows) > 0 || report.Verified != nil && *report.Verified
	clients.Holds(c, report)
	if known && len(report.Stores) > 0 {
		c.Follows = clients.Unplaced(report)
	}
	if len(report.Stores) > 0 && !slices.Contains(c.Addresses, registry.Address()) {
		c.Addresses = append(c.Addresses, registry.Address())
	}
}

// rotationPlan is what is left to do, for a dry run.
func rotationPlan(r *scenario.Registry, hosts []string) step.Planned {
	var planned step.Planned
	add := func(name, diff string, targets ...string) {
		var items []step.Item
		for _, t := range targets {
			items = append(items, step.Item{Target: t, Action: host.Change, Diff: "(" + diff + ")"})
		}
		if len(items) > 0 {
			planned.Changes = append(planned.Changes, step.Named{Step: name, Change: step.Change{Items: items}})
		}
	}
	if r.Rotation() != statedir.Withdrawing {
		add("new CA", fmt.Sprintf("%d days, beside the present one", r.Spec.TLS.CADays), r.Dir.Join("certs", "next-ca.crt"))
		add("both", "trusts both CAs", hosts...)
		add("switch", "a leaf of the new CA, which is in force then", r.Dir.Join("serve", "tls", "current"))
	}
	add("withdrawal", "trusts the new CA alone", hosts...)
	return planned
}
