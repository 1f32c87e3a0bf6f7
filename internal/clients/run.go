package clients

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
)

// Run is one command over a fleet.
type Run struct {
	Dir   statedir.Dir
	Hosts []string // as fleet.Expand returns them
	Fleet fleet.Options
	// Dial logs in to a host; known is its record, zero where there is none.
	Dial func(ctx context.Context, name string, known statedir.Client) (*host.SSH, error)
	// Do is what is done there.
	Do func(ctx context.Context, h host.Host, known statedir.Client) (Report, error)
	// Keep records what came of a host: as of a run that changes hosts, or as of a
	// check; nil for a dry run. It may change the record before it is saved.
	Keep func(c *statedir.Client, r Report)
}

// Result is what came of one host of a run.
type Result struct {
	Host     string
	Report   Report
	Err      error // names the host
	Duration time.Duration
}

// Over does it on every host, in parallel; the results are in the hosts' order. What
// became of each is on record as soon as it has ended. The error is that of a record
// that could not be written.
func (r Run) Over(ctx context.Context) ([]Result, error) {
	records := make(chan error, len(r.Hosts))
	done := fleet.Run(ctx, r.Hosts, r.Fleet, func(ctx context.Context, name string) (Report, error) {
		known, _, err := statedir.LoadClient(r.Dir, fleet.Key(name))
		if err != nil {
			return Report{Status: Failed}, err
		}
		report, err := r.one(ctx, name, known)
		err = about(name, err)
		if r.Keep != nil {
			records <- r.record(name, known, report, err)
		}
		return report, err
	})
	close(records)
	var errs []error
	for err := range records {
		errs = append(errs, err)
	}
	results := make([]Result, len(done))
	for i, d := range done {
		results[i] = Result{d.Host, d.Value, about(d.Host, d.Err), d.Duration}
		if d.Err != nil && d.Value.Status != Drifted {
			results[i].Report.Status = Failed
		}
		if errors.Is(d.Err, fleet.ErrNotReached) {
			results[i].Err = fault.Fail("run the same command again, or with --retry-failed", "%s: %w", d.Host, d.Err)
		}
	}
	return results, errors.Join(errs...)
}

func (r Run) one(ctx context.Context, name string, known statedir.Client) (Report, error) {
	h, err := r.Dial(ctx, name, known)
	if err != nil {
		return Report{Status: Failed}, err
	}
	defer h.Close()
	report, err := r.Do(ctx, h, known)
	if err != nil && ctx.Err() != nil && fault.Hint(err) == "" {
		err = fault.Fail("run the same command again to finish", "interrupted")
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			err = context.Cause(ctx)
		}
	}
	return report, err
}

// about has an error name its host, once.
func about(name string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), name+":") {
		return err
	}
	if fault.IsUsage(err) {
		return fault.Usage(fault.Hint(err), "%s: %w", name, err)
	}
	return fault.Fail(fault.Hint(err), "%s: %w", name, err)
}

// record saves what came of a host.
func (r Run) record(name string, known statedir.Client, report Report, failure error) error {
	now := time.Now().UTC().Truncate(time.Second)
	c := known
	c.Key, c.Host, c.LastTried = fleet.Key(name), name, now
	c.Status, c.Error, c.Hint = statedir.ClientStatus(report.Status), "", ""
	if failure != nil {
		c.Error, c.Hint = failure.Error(), fault.Hint(failure)
		if report.Status != Drifted {
			c.Status = statedir.ClientFailed // also when it was changed, but not verified
		}
	}
	if report.Reached {
		c.LastSeen = now
	}
	if report.Verified != nil {
		c.Verified, c.VerifiedBy = report.Verified, report.VerifiedBy
	}
	r.Keep(&c, report)
	return statedir.SaveClient(r.Dir, c)
}

// Holds adds the stores of a report to those that a client's record has, and takes out
// those that are gone: a store with all its files, of which the report names one; of the
// system's anchors one may go alone.
func Holds(c *statedir.Client, report Report) {
	for _, s := range report.Stores {
		if s.Path == "" {
			continue
		}
		i := slices.IndexFunc(c.Stores, func(o statedir.ClientStore) bool { return o.Store == string(s.Store) && o.Path == s.Path })
		switch {
		case s.Gone:
			c.Stores = slices.DeleteFunc(c.Stores, func(o statedir.ClientStore) bool {
				return o.Store == string(s.Store) && (s.Store != trust.OS || o.Path == s.Path)
			})
		case i < 0:
			c.Stores = append(c.Stores, statedir.ClientStore{Store: string(s.Store), Path: s.Path, Pending: s.Pending, Since: c.LastTried})
		case s.Status != Unchanged:
			c.Stores[i].Pending, c.Stores[i].Since = s.Pending, c.LastTried
		}
	}
}

// Unplaced are the stores of a report in which nothing had to be placed.
func Unplaced(report Report) (stores []string) {
	for _, s := range report.Stores {
		if s.Path == "" {
			stores = append(stores, string(s.Store))
		}
	}
	return stores
}
