package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

// fleetRun is a registry with a fleet of hosts that is to trust it.
type fleetRun struct {
	*run
	fleet *testfleet.Fleet
}

// newFleetRun makes the hosts and a registry that they know as registry.test.
func newFleetRun(t *testing.T, specs []testfleet.Spec, init ...string) fleetRun {
	t.Helper()
	f := fleetRun{newRun(t, build(t), "fleet"), testfleet.New(t, specs...)}
	f.init(t, init...)
	return f
}

func (f fleetRun) init(t *testing.T, args ...string) {
	t.Helper()
	f.must(t, append([]string{"init", "--host", testfleet.RegistryName, "--runtime", "process", "--port", f.port}, args...)...)
	t.Cleanup(func() { _ = f.command("destroy", "--yes", "--quiet", "--forget-clients").Run() })
}

// dockerOnly leaves no runtime on the hosts beside Docker: they have this machine's
// programs.
func (f fleetRun) dockerOnly() {
	for _, h := range f.fleet.Hosts() {
		h.Run("rm -f /usr/bin/podman /usr/bin/buildah /usr/bin/skopeo /usr/bin/nerdctl /usr/bin/crictl /usr/sbin/crio")
	}
}

// freshBundles has the hosts' own tool make the bundle of CAs anew, whose order and
// links are that tool's. It is of a few of the public CAs: one of all takes it seconds.
func (f fleetRun) freshBundles() {
	for _, h := range f.fleet.Hosts() {
		h.Run(`grep '^[a-z]' /etc/ca-certificates.conf | head -n 5 >/tmp/few; cat /tmp/few >/etc/ca-certificates.conf; rm /tmp/few
update-ca-certificates --fresh >/dev/null 2>&1`)
	}
}

// names are all hosts, as --hosts takes them.
func (f fleetRun) names() string {
	var names []string
	for _, h := range f.fleet.Hosts() {
		names = append(names, h.Name)
	}
	return strings.Join(names, ",")
}

func (f fleetRun) address() string { return testfleet.RegistryName + ":" + f.port }

// onClients is a command over clients, with what it takes to log in.
func (f fleetRun) onClients(args ...string) *exec.Cmd {
	words := strings.Fields(args[0])
	return f.command(slices.Concat(words, []string{"--ssh-config", f.fleet.SSHConfig(), "--yes", "-o", "json"}, args[1:])...)
}

// clientsJSON is what the commands over clients print.
type clientsJSON struct {
	SchemaVersion int
	Results       []struct {
		Host, Status, VerifiedBy, Error, Hint string
		Verified                              *bool
		Stores                                []struct{ Store, Path, Status, Pending, Diff string }
		DurationMs                            int64
	}
	Summary struct{ Hosts, Changed, Unchanged, Failed int }
}

// over runs a command over clients and demands an exit status.
func (f fleetRun) over(t *testing.T, code int, args ...string) clientsJSON {
	t.Helper()
	return f.result(t, code, f.onClients(args...))
}

func (f fleetRun) result(t *testing.T, code int, cmd *exec.Cmd) clientsJSON {
	t.Helper()
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Fatalf("%s: exit status %d, want %d\n%s\n%s", cmd, got, code, out.String(), said.String())
	}
	var result clientsJSON
	if err := json.Unmarshal([]byte(out.String()), &result); err != nil && out.Len() > 0 {
		t.Fatalf("%s: %v\n%s", cmd, err, out.String())
	}
	t.Logf("%s\n%s", strings.Join(cmd.Args[1:3], " "), said.String())
	return result
}

// all demands the same status of every host, and verification where by is not "".
func (c clientsJSON) all(t *testing.T, hosts int, status, by string) {
	t.Helper()
	if len(c.Results) != hosts {
		t.Fatalf("%d results, want %d: %+v", len(c.Results), hosts, c)
	}
	for _, r := range c.Results {
		if r.Status != status || by != "" && (r.Verified == nil || !*r.Verified || r.VerifiedBy != by) {
			t.Errorf("%s: %+v, want %s, verified by %q", r.Host, r, status, by)
		}
	}
}

// trees are the files of all hosts, to compare.
func (f fleetRun) trees() []testfleet.Tree {
	var all []testfleet.Tree
	for _, h := range f.fleet.Hosts() {
		all = append(all, h.Tree())
	}
	return all
}

// asBefore demands that the hosts' files are what they were.
func (f fleetRun) asBefore(t *testing.T, when string, before []testfleet.Tree) {
	t.Helper()
	for i, h := range f.fleet.Hosts() {
		diff := slices.DeleteFunc(before[i].Diff(h.Tree()), func(line string) bool {
			return strings.Contains(line, " /var/lib/ca-certificates-java/") // what a hook of update-ca-certificates notes
		})
		if len(diff) > 0 {
			t.Errorf("%s: %s differs:\n%s", when, h.Name, strings.Join(diff, "\n"))
		}
		if left := h.Run(`find / -xdev -iname '*regctl*' -not -path '/proc/*' -not -path '/sys/*' 2>/dev/null || :`); left != "" {
			t.Errorf("%s: %s has files of ours:\n%s", when, h.Name, left)
		}
	}
}

// pushFrom has a host's own docker push an image of random content, and forget it.
func (f fleetRun) pushFrom(h *testfleet.Host, name string) error {
	ref := f.address() + "/" + name
	_, err := h.Exec(fmt.Sprintf(`set -e; cd /run; head -c 65536 /dev/urandom >layer; tar cf image.tar layer; docker import image.tar %[1]s >/dev/null
docker push %[1]s; docker image rm %[1]s; rm layer image.tar`, ref))
	return err
}

func (f fleetRun) pullOn(h *testfleet.Host, name string) error {
	ref := f.address() + "/" + name
	_, err := h.Exec(fmt.Sprintf(`docker pull %[1]s && docker image rm %[1]s`, ref))
	return err
}

func dockerd(h *testfleet.Host) string { return h.Run("cat /var/run/docker.pid") }

// TestFleetSelfSigned is the heart of the matter: three hosts with a Docker each, a CA
// that none knows, and a push from one that the others pull, with no restart.
func TestFleetSelfSigned(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(3, testfleet.Docker))
	hosts, before := f.fleet.Hosts(), f.trees()
	if err := f.pushFrom(hosts[0], "early"); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Fatalf("a push before anything was done: %v, want x509", err)
	}
	var pids []string
	for _, h := range hosts {
		pids = append(pids, dockerd(h))
	}

	dry := f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names(), "--dry-run")
	dry.all(t, 3, "changed", "")
	if d := dry.Results[0].Stores[0].Diff; !strings.Contains(d, "BEGIN CERTIFICATE") {
		t.Errorf("the dry run's diff is %q", d)
	}
	f.asBefore(t, "after a dry run", before)

	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names()).all(t, 3, "changed", "docker pull")
	if err := f.pushFrom(hosts[0], "shared"); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts[1:] {
		if err := f.pullOn(h, "shared"); err != nil {
			t.Error(err)
		}
	}

	placed, at := f.trees(), f.times()
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names()).all(t, 3, "unchanged", "docker pull")
	for i, h := range hosts {
		if diff := placed[i].Diff(h.Tree()); len(diff) > 0 {
			t.Errorf("%s: the second run changed\n%s", h.Name, strings.Join(diff, "\n"))
		}
		if dockerd(h) != pids[i] {
			t.Errorf("%s: dockerd was restarted", h.Name)
		}
	}
	if now := f.times(); now != at {
		t.Errorf("the second run wrote files:\n%s\n%s", at, now)
	}

	f.over(t, 0, "clients check").all(t, 3, "unchanged", "docker pull")
	if out, err := f.command("destroy", "--yes").CombinedOutput(); err == nil || !strings.Contains(string(out), "3 hosts trust the registry: h0, h1, h2") {
		t.Errorf("destroy while hosts trust: %v\n%s", err, out)
	}
	var status struct {
		Clients []struct {
			Host     string
			Stores   []string
			Verified bool
			LastSeen string
		}
	}
	if err := json.Unmarshal([]byte(f.must(t, "status", "-o", "json")), &status); err != nil || len(status.Clients) != 3 ||
		!status.Clients[2].Verified || status.Clients[2].Host != "h2" || strings.Join(status.Clients[2].Stores, "") != "docker" || status.Clients[2].LastSeen == "" {
		t.Errorf("status: %v, %+v", err, status)
	}

	f.over(t, 0, "untrust-clients", "--all").all(t, 3, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
	f.over(t, 0, "untrust-clients", "--all").all(t, 0, "", "")
	f.over(t, 0, "untrust-clients", "--hosts", f.names()).all(t, 3, "unchanged", "")
	f.must(t, "destroy", "--yes")
}

// times are when the hosts' folders and files of Docker and ours were last written.
func (f fleetRun) times() string {
	var all []string
	for _, h := range f.fleet.Hosts() {
		all = append(all, h.Run(`find /etc/docker /var/lib/regctl -printf '%p %T@ %C@\n' | sort`))
	}
	return strings.Join(all, "\n")
}

// TestFleetDrift has hosts stray in the ways there are; check says how, and
// trust-clients mends it.
func TestFleetDrift(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(4, testfleet.Docker))
	before := f.trees()
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names()).all(t, 4, "changed", "docker pull")
	ca := "/etc/docker/certs.d/" + f.address() + "/ca.crt"
	hosts := f.fleet.Hosts()
	hosts[1].Run("rm " + ca)
	hosts[2].Run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=other -out " + ca + " 2>/dev/null")
	hosts[3].KillSSHD()
	c := f.over(t, 4, "clients check", "--connect-timeout", "3s")
	for i, want := range []struct{ status, text string }{
		{"unchanged", ""}, {"drifted", ca + " is missing"}, {"drifted", ca + " differs"}, {"failed", "nothing listens"},
	} {
		r := c.Results[i]
		if r.Status != want.status || !strings.Contains(r.Error, want.text) || (r.Error == "") != (want.text == "") || r.Error != "" && r.Hint == "" {
			t.Errorf("%d: %+v, want %+v", i, r, want)
		}
	}
	hosts[3].StartSSHD()
	c = f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", f.names())
	for i, want := range []string{"unchanged", "changed", "changed", "unchanged"} {
		if c.Results[i].Status != want {
			t.Errorf("%d: %+v, want %s", i, c.Results[i], want)
		}
	}
	hosts[0].Run("chmod 0600 " + ca) // podman without root cannot read it
	f.over(t, 4, "clients check", "--limit", "h0").all(t, 1, "drifted", "docker pull")
	// A slip in how a host is reached is not kept for the next run.
	f.over(t, 1, "trust-clients", "--store", "docker", "--hosts", "h0", "--jump", "h9", "--connect-timeout", "3s")
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	f.over(t, 0, "untrust-clients", "--all").all(t, 4, "changed", "")
	f.asBefore(t, "after drift, mending and untrust-clients", before)
}
