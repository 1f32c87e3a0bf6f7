package testfleet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
)

// network is a bridge in a namespace of its own, so that no firewall of the machine
// (Docker sets FORWARD to DROP) is asked about what passes over it. The link rgfN
// joins it to the root namespace.
//
// Each host has an address in 10.231.N.0/24, where the root namespace has .1, and one
// in 10.232.N.0/24, where it has none: hosts behind a jump host listen on that.
type network struct {
	n, hub int
	link   string
}

// unused is an address in 10.231.N.0/24 whose packets the root namespace sends
// to a hardware address that nobody has.
const unused, nobody = 254, "02:00:00:00:00:01"

func (w network) v4(i int) string    { return fmt.Sprintf("10.231.%d.%d", w.n, i) }
func (w network) inner(i int) string { return fmt.Sprintf("10.232.%d.%d", w.n, i) }
func (w network) v6(i int) string    { return fmt.Sprintf("fd52:6763:746c:%x::%x", w.n, i) }

// newNetwork takes numbers that no link or address of the machine has. The kernel
// lets only one fleet make a link of a name.
func newNetwork(alias string, hub int) (network, error) {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return network{}, err
	}
	var last error
	for _, n := range rand.Perm(256) {
		w := network{n: n, hub: hub, link: fmt.Sprintf("rgf%d", n)}
		if w.overlaps(taken) {
			continue
		}
		last = ip("", "link", "add", w.link, "type", "veth", "peer", "name", "root", "netns", fmt.Sprint(hub))
		if last == nil {
			return w, w.rootSide(alias)
		}
	}
	return network{}, errors.Join(errors.New("no network 10.231.N.0/24 is free"), last)
}

func (w network) overlaps(taken []net.Addr) bool {
	for _, a := range taken {
		if n, ok := a.(*net.IPNet); ok && (n.Contains(net.ParseIP(w.v4(1))) || n.Contains(net.ParseIP(w.inner(1)))) {
			return true
		}
	}
	return false
}

func (w network) rootSide(alias string) error {
	return ip(strings.Join([]string{
		"link set " + w.link + " alias " + alias,
		"addr add " + w.v4(1) + "/24 dev " + w.link,
		"addr add " + w.v6(1) + "/64 dev " + w.link + " nodad",
		"link set " + w.link + " up",
		"neigh replace " + w.v4(unused) + " lladdr " + nobody + " nud permanent dev " + w.link,
		"route add " + w.inner(0) + "/24 via " + w.v4(unused) + " dev " + w.link,
	}, "\n"), "-batch", "-")
}

// connect gives each host its eth0 and lets them set it up.
func (w network) connect(hosts []*Host) error {
	var pairs, ports, holes strings.Builder
	ports.WriteString("link set lo up\nlink add br0 type bridge\nlink set br0 up\nlink set root master br0\nlink set root up\n")
	for i, h := range hosts {
		fmt.Fprintf(&pairs, "link add v%d netns %d type veth peer name eth0 netns %d\n", i, w.hub, h.process.pid())
		fmt.Fprintf(&ports, "link set v%d master br0\nlink set v%d up\n", i, i)
		if h.spec.blackHole {
			for _, addr := range []string{w.v4(h.number), w.v6(h.number)} {
				fmt.Fprintf(&holes, "neigh replace %s lladdr %s nud permanent dev %s\n", addr, nobody, w.link)
			}
		}
	}
	if err := ip(pairs.String(), "-batch", "-"); err != nil {
		return err
	}
	if err := run(exec.Command("nsenter", "--net", "--target", fmt.Sprint(w.hub), "ip", "-batch", "-"), ports.String()); err != nil {
		return err
	}
	if err := ip(holes.String(), "-batch", "-"); err != nil {
		return err
	}
	for _, h := range hosts {
		if _, err := h.process.stdin.Write([]byte("connected\n")); err != nil {
			return h.fail(err)
		}
	}
	return nil
}

// fill undoes a black hole.
func (w network) fill(h *Host) error {
	return ip("neigh del "+w.v4(h.number)+" dev "+w.link+"\nneigh del "+w.v6(h.number)+" dev "+w.link, "-batch", "-")
}

// hostSide is the host's own commands to ip.
func (w network) hostSide(number int) string {
	return strings.Join([]string{
		"link set lo up",
		"addr add " + w.v4(number) + "/24 dev eth0",
		"addr add " + w.inner(number) + "/24 dev eth0",
		"addr add " + w.v6(number) + "/64 dev eth0 nodad",
		"link set eth0 up", "",
	}, "\n")
}

func ip(stdin string, args ...string) error { return run(exec.Command("ip", args...), stdin) }

func run(cmd *exec.Cmd, stdin string) error {
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
