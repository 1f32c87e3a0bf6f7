package main_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// mode asks for another tls.mode in regctl.yaml.
func (r *run) mode(t *testing.T, from, to string) {
	t.Helper()
	path := filepath.Join(r.dir, "regctl.yaml")
	text := string(read(t, path))
	if !strings.Contains(text, "mode: "+from) {
		t.Fatalf("regctl.yaml has not mode %s:\n%s", from, text)
	}
	write(t, path, strings.Replace(text, "mode: "+from, "mode: "+to, 1))
}

// TestModeWithClients takes a registry from plain HTTP to TLS and back with the hosts
// that trust it, which can push before, after, and where a host that cannot be reached
// has stopped it.
func TestModeWithClients(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(3, testfleet.Docker), "--tls", "none")
	f.dockerOnly()
	hosts, before := f.fleet.Hosts(), f.trees()
	f.over(t, 0, "trust-clients", "--hosts", f.names()).all(t, 3, "changed", "docker pull")
	dockers := []string{dockerd(hosts[0]), dockerd(hosts[1]), dockerd(hosts[2])}
	placed := "/etc/docker/certs.d/" + f.address() + "/ca.crt"

	f.mode(t, "none", "selfsigned")
	out, err := f.command("plan").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "takes the registry both ways") || !strings.Contains(string(out), "takes it the new way alone") {
		t.Errorf("plan: %v\n%s", err, out)
	}
	hosts[1].KillSSHD()
	out, err = f.command("apply").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing was switched: h1 is not ready") || !strings.Contains(string(out), "--skip-unreachable") {
		t.Errorf("apply with a dead host: %v\n%s", err, out)
	}
	hosts[1].StartSSHD()
	for _, h := range hosts { // either way
		if err := f.pushFrom(h, "between"); err != nil {
			t.Error(err)
		}
	}

	f.must(t, "apply")
	f.formIs(t, hosts, placed, true)
	f.over(t, 0, "clients check").all(t, 3, "unchanged", "docker pull")
	if out := f.must(t, "plan"); !strings.Contains(out, "nothing to do") {
		t.Errorf("plan says\n%s", out)
	}

	f.mode(t, "selfsigned", "none")
	f.must(t, "apply")
	f.formIs(t, hosts, placed, false)
	f.over(t, 0, "clients check").all(t, 3, "unchanged", "docker pull")
	for i, h := range hosts {
		if dockerd(h) != dockers[i] {
			t.Errorf("%s: dockerd was restarted", h.Name)
		}
	}
	f.over(t, 0, "untrust-clients", "--all").all(t, 3, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
	f.must(t, "destroy", "--yes")
}

// formIs demands that hosts hold one form of the registry and not the other, and push
// by it.
func (f fleetRun) formIs(t *testing.T, hosts []*testfleet.Host, placed string, tls bool) {
	t.Helper()
	for _, h := range hosts {
		insecure := strings.Contains(h.Run("cat /etc/docker/daemon.json 2>/dev/null || :"), f.address())
		if ca := countOn(h, placed) == 1; ca != tls || insecure == tls {
			t.Errorf("%s: it has the CA: %v, and an insecure entry: %v; TLS is %v", h.Name, ca, insecure, tls)
		}
		if err := f.pushFrom(h, "after"); err != nil {
			t.Error(err)
		}
	}
}

// TestKilledCrossing kills apply at random moments of a change between plain HTTP and
// TLS; the same command again finishes, and no host is left behind.
func TestKilledCrossing(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker), "--tls", "none")
	f.dockerOnly()
	f.over(t, 0, "trust-clients", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	hosts, placed := f.fleet.Hosts(), "/etc/docker/certs.d/"+f.address()+"/ca.crt"
	modes := []string{"none", "selfsigned"}
	f.mode(t, modes[0], modes[1])
	start := time.Now()
	f.must(t, "apply")
	whole := time.Since(start)
	for i := range 8 {
		from, to := modes[(i+1)%2], modes[i%2]
		f.mode(t, from, to)
		moment := f.killedAt(t, whole, "apply")
		f.must(t, "apply")
		f.noHalfFile(t)
		f.formIs(t, hosts, placed, to == "selfsigned")
		if t.Failed() {
			t.Fatalf("from %s to %s, killed after %v of %v", from, to, moment, whole)
		}
		if out := f.must(t, "plan"); !strings.Contains(out, "nothing to do") {
			t.Errorf("plan says\n%s", out)
		}
	}
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}
