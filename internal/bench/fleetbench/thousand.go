package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/testfleet"
)

const (
	memoryLimit = 200 << 20
	// filesLimit is what the client is allowed to have open; it would need four times
	// as many with a connection to each host.
	filesLimit = 256
	// linearLimit is how much longer than before a host may take where there are four
	// times as many.
	linearLimit = 1.25
)

// thousand measures what many hosts cost the client. Known hosts have hashed names, as
// Debian's ssh writes them.
func (b *bench) thousand() error {
	fleet, err := testfleet.Start(testfleet.Hosts(8)...)
	if err != nil {
		return err
	}
	defer fleet.Stop()
	b.fleet, b.hosts = fleet, 8
	if _, err := b.onAll("mkdir -p /etc/docker"); err != nil {
		return err
	}
	many, err := newManyHosts(1000, b.key(), fleet.Hosts())
	if err != nil {
		return err
	}
	defer many.close()
	fmt.Printf("\nmany hosts, in SSH servers of this process; at most %d files open at a time\n", filesLimit)
	used := map[int][]usage{}
	// There and back, so that a load that grows or falls meets all alike.
	for _, n := range []int{250, 500, 1000, 500, 250} {
		if err := b.writeMany(many, n); err != nil {
			return err
		}
		u, err := watched(b.trustClients(b.file("many-hosts"), b.file("many-known")))
		if err != nil {
			return fmt.Errorf("%d hosts: %w", n, err)
		}
		used[n] = append(used[n], u)
	}
	each := map[int]float64{}
	for _, n := range []int{250, 500, 1000} {
		u := mean(used[n])
		each[n] = ms(u.wall) / float64(n)
		fmt.Printf("%5d hosts %8.1f s, %5.1f ms a host; CPU of the client %4.2f ms a host; %3.0f MB (%s), %d files\n", n, u.wall.Seconds(), each[n],
			ms(u.cpu)/float64(n), float64(u.memory)/(1<<20), verdict(u.memory <= memoryLimit), u.files)
	}
	growth := each[1000] / each[250]
	fmt.Printf("a host of 1000 takes %.2f times as long as one of 250, limit %.2f: %s\n", growth, linearLimit, verdict(growth <= linearLimit))
	return nil
}

// mean of the times, and the most of the rest.
func mean(all []usage) (m usage) {
	for _, u := range all {
		m.wall += u.wall / time.Duration(len(all))
		m.cpu += u.cpu / time.Duration(len(all))
		m.memory, m.files = max(m.memory, u.memory), max(m.files, u.files)
	}
	return m
}

// writeMany names the first n hosts.
func (b *bench) writeMany(m *manyHosts, n int) error {
	var hosts, known strings.Builder
	for _, l := range m.listeners[:n] {
		at := l.Addr().String()
		fmt.Fprintln(&hosts, at)
		fmt.Fprintln(&known, knownhosts.Line([]string{knownhosts.HashHostname(knownhosts.Normalize(at))}, m.key))
	}
	return errors.Join(b.write("many-hosts", hosts.String()), b.write("many-known", known.String()))
}

// usage is what a process took.
type usage struct {
	wall, cpu time.Duration
	memory    int // the most, in bytes
	files     int // the most that were seen open
}

// watched runs a command that may have no more than filesLimit files open, and looks at
// it as it runs.
func watched(cmd *exec.Cmd) (usage, error) {
	limited := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, filesLimit)}, cmd.Args...)...)
	var out bytes.Buffer
	limited.Stdout, limited.Stderr = &out, &out
	start := time.Now()
	if err := limited.Start(); err != nil {
		return usage{}, err
	}
	var u usage
	ended, seen := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(seen)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			u.look(limited.Process.Pid)
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}()
	err := limited.Wait()
	u.wall = time.Since(start)
	close(ended)
	<-seen
	u.cpu = limited.ProcessState.UserTime() + limited.ProcessState.SystemTime()
	if err != nil {
		return u, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	return u, nil
}

// look notes what a process has open and the most memory that it had. The kernel's
// ru_maxrss would be the parent's where that has more.
func (u *usage) look(pid int) {
	if open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		u.files = max(u.files, len(open))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return // it has ended
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if f := strings.Fields(rest); len(f) > 0 {
		kilobytes, _ := strconv.Atoi(f[0]) // the kernel's own number
		u.memory = max(u.memory, kilobytes<<10)
	}
}
