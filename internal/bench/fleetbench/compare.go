package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// cost is what one run of a contender took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // of its processes on this side, those that it left behind not counted
	// hosts is the CPU that sshd and what it ran took on all hosts; 0: there are sessions left.
	hosts time.Duration
}

// row is a contender's costs, one a round.
type row struct {
	name  string
	costs []cost
}

// again is how a row's name ends that measures a contender where all is placed.
const again = ", again"

// compare has all contenders do the same on the same hosts, round by round.
func (b *bench) compare() error {
	start := time.Now()
	fleet, err := testfleet.Start(testfleet.Hosts(b.hosts)...)
	if err != nil {
		return err
	}
	defer fleet.Stop()
	fmt.Printf("%d hosts are up after %.1f s\n", b.hosts, time.Since(start).Seconds())
	b.fleet = fleet
	var names strings.Builder
	for _, h := range fleet.Hosts() {
		fmt.Fprintln(&names, h.Addr)
	}
	if err := errors.Join(b.write("hosts", names.String()), b.writeAnsible()); err != nil {
		return err
	}
	var rows []*row
	for round := range b.rounds {
		rest := rows
		next := func(name string) *row {
			if round == 0 {
				rows = append(rows, &row{name: name})
				return rows[len(rows)-1]
			}
			r := rest[0]
			rest = rest[1:]
			return r
		}
		for _, c := range b.contenders() {
			if c.name != ours && !strings.Contains(c.name, b.only) {
				continue
			}
			if err := b.measure(c, next); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	b.report(rows)
	return b.disconnectAnsible()
}

// measure runs a contender on hosts that have nothing, and where it wants that once
// more on the same hosts.
func (b *bench) measure(c contender, next func(name string) *row) error {
	if _, err := b.onAll(forget); err != nil {
		return err
	}
	if c.before != nil {
		if err := c.before(); err != nil {
			return err
		}
	}
	names := []string{c.name}
	if c.twice {
		names = append(names, c.name+again)
	}
	for _, name := range names {
		before, err := b.hostCPU()
		if err != nil {
			return err
		}
		spent, err := timed(c.cmd())
		if err != nil {
			return err
		}
		after, err := b.hostCPU()
		if err != nil {
			return err
		}
		if before > 0 && after > 0 {
			spent.hosts = after - before
		}
		r := next(name)
		r.costs = append(r.costs, spent)
		if err := b.check(); err != nil {
			return err
		}
	}
	return nil
}

// timed runs a command to its end.
func timed(cmd *exec.Cmd) (cost, error) {
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return cost{}, fmt.Errorf("%w\n%s", err, out)
	}
	return cost{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// onAll runs a command on all hosts, not over SSH, and returns what it printed on each.
func (b *bench) onAll(command string) ([]string, error) {
	var all sync.WaitGroup
	outs, errs := make([]string, b.hosts), make([]error, b.hosts)
	few := make(chan struct{}, 8)
	for i, h := range b.fleet.Hosts() {
		all.Go(func() {
			few <- struct{}{}
			defer func() { <-few }()
			outs[i], errs[i] = h.Exec(command)
		})
	}
	all.Wait()
	return outs, errors.Join(errs...)
}

// check looks whether the CA is on all hosts.
func (b *bench) check() error {
	outs, err := b.onAll("cat " + caFile)
	for i, out := range outs {
		if err == nil && out+"\n" != b.ca {
			err = fmt.Errorf("host %d has another CA than it should:\n%s", i, out)
		}
	}
	return err
}

// sessionsEnd waits until no session is left on a host, and then prints the clock ticks
// that sshd has used and the first process, who inherits what outlives its session, with
// all that they waited for; nothing if a session stays.
const sessionsEnd = `n=0; until [ "$(pgrep -c -x sshd)" = 1 ]; do n=$((n + 1)); [ $n -lt 20 ] || exit 0; sleep 0.1; done
sum=0; for pid in 1 $(pgrep -x sshd); do
read -r line </proc/$pid/stat; set -- ${line##*) }; sum=$((sum + ${12} + ${13} + ${14} + ${15})); done; echo $sum`

// tick is that of /proc/PID/stat on every Linux.
const tick = 10 * time.Millisecond

// hostCPU is the CPU that all hosts' sshd have used; 0 if sessions are left.
func (b *bench) hostCPU() (time.Duration, error) {
	outs, err := b.onAll(sessionsEnd)
	if err != nil || slices.Contains(outs, "") {
		return 0, err
	}
	var sum time.Duration
	for _, out := range outs {
		n, err := strconv.Atoi(out)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
