package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testfleet"
)

// farAway is the way to the host and back, each.
const farAway = 50 * time.Millisecond

// turnsLimit is how many round trips trust-clients may take after the login.
const turnsLimit = 4

// trip is what one way of doing it takes through a proxy: the most round trips after
// the login, and the shortest times that the login and the whole took in several rounds.
type trip struct {
	turns      int
	login, all time.Duration
}

// turns counts the round trips that a host with a Docker engine takes, far away. What
// the login takes is measured by a login alone and taken off.
func (b *bench) turns() error {
	fleet, err := testfleet.Start(testfleet.Hosts(1, testfleet.Docker)...)
	if err != nil {
		return err
	}
	defer fleet.Stop()
	b.fleet, b.hosts = fleet, 1
	near, far := &slowProxy{to: net.JoinHostPort(fleet.Host(0).Addr, "22")}, &slowProxy{to: net.JoinHostPort(fleet.Host(0).Addr, "22"), delay: farAway}
	fmt.Printf("\none host with Docker, %s away: round trips after the login, and the same by the clock\n", 2*farAway)
	for _, c := range []struct {
		name  string
		limit int
		cmd   func(hosts, knownHosts string) *exec.Cmd
	}{
		{ours, turnsLimit, b.trustClients},
		{ours + again, turnsLimit, b.trustClients},
		{"Go prototype", 0, b.prototypeOn},
	} {
		var trips [2]trip
		for range b.rounds {
			for i, p := range []*slowProxy{near, far} {
				if c.name != ours+again {
					if _, err := b.onAll(forget); err != nil {
						return err
					}
				}
				if err := b.through(p, c.cmd, &trips[i]); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
		way := (trips[1].all - trips[0].all) - (trips[1].login - trips[0].login)
		fmt.Printf("%-28s %3d   %4.1f   %.0f ms in all", c.name, trips[1].turns, float64(way)/float64(2*farAway), ms(trips[1].all))
		if c.limit > 0 {
			fmt.Printf("   limit %d: %s", c.limit, verdict(trips[1].turns <= c.limit))
		}
		fmt.Println()
	}
	return nil
}

// forget takes away what was placed.
const forget = "rm -rf /etc/docker /var/lib/regctl"

// through logs in through a proxy, and then runs the command through it.
func (b *bench) through(p *slowProxy, cmd func(hosts, knownHosts string) *exec.Cmd, t *trip) error {
	l, err := p.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	at := l.Addr().String()
	key, err := b.hostKey()
	if err != nil {
		return err
	}
	err = errors.Join(b.write("far-hosts", at+"\n"), b.write("far-known", knownhosts.Line([]string{at}, key)+"\n"))
	if err != nil {
		return err
	}
	p.taken()
	start := time.Now()
	if err := b.logIn(at); err != nil {
		return err
	}
	login, turns := time.Since(start), p.taken()
	spent, err := timed(cmd(b.file("far-hosts"), b.file("far-known")))
	if err != nil {
		return err
	}
	t.turns = max(t.turns, p.taken()-turns)
	if t.all == 0 || spent.wall < t.all {
		t.all = spent.wall
	}
	if t.login == 0 || login < t.login {
		t.login = login
	}
	return nil
}

// logIn does no more than that.
func (b *bench) logIn(at string) error {
	target, err := host.ParseTarget(at)
	if err != nil {
		return err
	}
	s, err := host.DialSSH(context.Background(), target, host.SSHOptions{
		User: "root", Identities: []string{b.key()}, KnownHosts: []string{b.file("far-known")}, ConfigFile: "none",
	})
	if err != nil {
		return err
	}
	return s.Close()
}

// hostKey is the first host's own.
func (b *bench) hostKey() (ssh.PublicKey, error) {
	text, err := b.fleet.Host(0).Exec("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key")
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(text)))
	return key, err
}
