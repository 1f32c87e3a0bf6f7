package testfleet

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// SwarmName resolves to the nodes' addresses on hosts that Swarm.Resolve was told of.
const SwarmName = "swarm.test"

// Swarm is a fleet of which some hosts' engines are a Docker Swarm of one manager and
// workers, and the others are its clients.
type Swarm struct {
	*Fleet
	Manager *Host
	Workers []*Host
	Clients []*Host // with a Docker of their own each; no part of the swarm
}

// NewSwarm starts the manager, as host 0, workers and clients, and waits until every
// node is ready. The flavours are the workers'.
func NewSwarm(t testing.TB, workers, clients int, flavours ...Flavour) *Swarm {
	t.Helper()
	specs := Hosts(1, Docker)
	specs = append(specs, Hosts(workers, append([]Flavour{Docker}, flavours...)...)...)
	f := New(t, append(specs, Hosts(clients, Docker)...)...)
	s := &Swarm{Fleet: f, Manager: f.hosts[0], Workers: f.hosts[1 : 1+workers], Clients: f.hosts[1+workers:]}
	s.Manager.Run("docker swarm init --advertise-addr " + s.Manager.v4())
	token := s.Manager.Run("docker swarm join-token -q worker")
	var joining sync.WaitGroup
	errs := make(chan error, workers)
	for _, w := range s.Workers {
		joining.Go(func() {
			_, err := w.Exec("docker swarm join --advertise-addr " + w.v4() + " --token " + token + " " + s.Manager.v4() + ":2377")
			errs <- err
		})
	}
	joining.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Manager.Run(fmt.Sprintf(`n=0; until [ "$(docker node ls --format '{{.Status}}' | grep -c Ready)" = %d ]; do
		n=$((n + 1)); [ $n -lt 300 ] || { docker node ls; exit 1; }; sleep 0.1; done`, 1+workers))
	return s
}

// Nodes are the manager and the workers.
func (s *Swarm) Nodes() []*Host { return append([]*Host{s.Manager}, s.Workers...) }

// Install puts a program and what it takes to log in to the other hosts by SSH on
// the manager: there root's ssh(1) needs no options.
func (s *Swarm) Install(program string) {
	s.t.Helper()
	for path, from := range map[string]string{
		"/usr/local/bin/regctl": program, "/root/.ssh/id_ed25519": s.Key(), "/root/.ssh/known_hosts": s.KnownHosts(),
	} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = s.Manager.WriteFile(path, data)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.Manager.Run("chmod 755 /usr/local/bin/regctl; chmod 600 /root/.ssh/*")
}

// Resolve has SwarmName stand for the addresses of nodes on each host on, in that
// order, and for none before: a client tries one after the other.
func (s *Swarm) Resolve(on []*Host, nodes ...*Host) {
	s.t.Helper()
	var lines strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&lines, "%s %s\n", n.v4(), SwarmName)
	}
	for _, h := range on {
		if err := h.WriteFile("/etc/hosts", []byte(h.hostsFile()+lines.String())); err != nil {
			s.t.Fatal(err)
		}
	}
}

// v4 is where the other hosts reach it, whatever its sshd listens on.
func (h *Host) v4() string { return h.fleet.net.v4(h.number) }
