package verify_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

// client is a host of a fleet that regctl has logged in to.
type client struct {
	*testfleet.Host
	*host.SSH
	placed []trust.Placement
}

func login(t testing.TB, fleet *testfleet.Fleet, h *testfleet.Host) *client {
	t.Helper()
	target, err := host.ParseTarget(h.Name)
	must(t, err)
	s, err := host.DialSSH(t.Context(), target, host.SSHOptions{ConfigFile: fleet.SSHConfig()})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return &client{Host: h, SSH: s}
}

func (c *client) seen(t testing.TB) trust.Client {
	t.Helper()
	facts, err := c.Look(t.Context(), trust.Reads())
	must(t, err)
	return trust.SeenClient(facts)
}

type noJournal struct{}

func (noJournal) Begin([]host.Op, host.Facts) error { return nil }
func (noJournal) Commit([]host.Receipt) error       { return nil }

// trusts places a registry in stores as trust-clients does.
func (c *client) trusts(t testing.TB, r trust.Registry, o trust.Options, stores ...trust.Store) {
	t.Helper()
	var err error
	c.placed, err = trust.Plan(r, c.seen(t), stores, o)
	must(t, err)
	var steps []step.Step
	for _, p := range c.placed {
		steps = append(steps, p.Steps...)
	}
	planned, err := step.Plan(t.Context(), c.SSH, steps)
	must(t, err)
	_, err = step.Run(t.Context(), c.SSH, planned, noJournal{})
	must(t, err)
}

// keep leaves one runtime's of the insecure forms, by its file.
func (c *client) keep(file string) {
	c.placed = slices.DeleteFunc(c.placed, func(p trust.Placement) bool { return !strings.Contains(p.Path, file) })
}

func (c *client) verify(t testing.TB, target verify.Target) []verify.Outcome {
	t.Helper()
	return verify.Client(t.Context(), c.SSH, c.seen(t), c.placed, target)
}

// without takes programs away from a host.
func (c *client) without(names ...string) {
	for _, n := range slices.DeleteFunc(names, func(n string) bool { return n == "" }) {
		c.Run("rm -f /usr/bin/" + n + " /usr/sbin/" + n)
	}
}

const spied = "/root/spied"

// spy writes down how the programs of a host are called, by their arguments and
// environments.
func (c *client) spy(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		path := c.Run("command -v " + n)
		c.Run("mv " + path + " " + path + ".real")
		must(t, c.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n{ echo \"$0\" \"$@\"; env; } >>%s\nexec %s.real \"$@\"\n", spied, path)))
		c.Run("chmod 755 " + path)
	}
	c.Run("echo >" + spied)
}

// hears fails the test if a password was among what the spies saw.
func (c *client) hears(t testing.TB, passwords ...string) {
	t.Helper()
	data, err := c.ReadFile(spied)
	must(t, err)
	if len(data) < 100 {
		t.Errorf("%s: the spies saw nothing", c.Host.Name)
	}
	for _, p := range passwords {
		if strings.Contains(string(data), p) {
			t.Errorf("%s: a password is in the arguments or the environment of a program:\n%s", c.Host.Name, data)
		}
	}
}

// secrets are the forms in which a password might come to light.
func secrets(user, password string) []string {
	return []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
}

// state is all that a verification might leave: files, images, namespaces.
func (c *client) state() []string {
	tree := c.Tree()
	delete(tree, spied)
	var all []string
	for path, what := range tree {
		if strings.Contains(path, "/.local/share/docker") || strings.HasPrefix(path, "/var/lib/buildkit") {
			continue // a daemon's own, as /var/lib/docker is
		}
		all = append(all, path+" "+what)
	}
	out := c.Run(`find /run /tmp /var/tmp /dev/shm /var/lib/containers 2>/dev/null
		for s in /var/run/docker.sock /run/user/*/docker.sock; do
			[ ! -S "$s" ] || curl -s --unix-socket "$s" "http://localhost/images/json?all=1"
		done
		[ ! -S /run/containerd/containerd.sock ] || for n in $(ctr namespaces ls -q); do
			echo "namespace $n"
			for k in images content leases; do echo "$n $k" $(ctr --namespace "$n" $k ls -q); done
			echo "$n snapshots" $(ctr --namespace "$n" snapshots ls)
		done`)
	all = append(all, strings.Split(out, "\n")...)
	slices.Sort(all)
	return all
}

// same fails the test if the host is not as it was.
func (c *client) same(t testing.TB, before []string) {
	t.Helper()
	after := c.state()
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("%s: left: %s", c.Host.Name, line)
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s: gone: %s", c.Host.Name, line)
		}
	}
}
