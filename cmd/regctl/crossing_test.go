package main_test

import (
	"path/filepath"
	"strings"
	"testing"

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
