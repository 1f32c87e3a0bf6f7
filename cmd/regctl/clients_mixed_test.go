package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// TestMixedFleet has 6 hosts of 20 broken in 6 ways: the others are done all the same,
// and each of the six says what is wrong and how to mend it, in time: nothing runs beside it.
func TestMixedFleet(t *testing.T) {
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(14),
		testfleet.Hosts(1, testfleet.Dead),
		testfleet.Hosts(1, testfleet.BlackHole),
		testfleet.Hosts(1, testfleet.ChangedHostKey),
		testfleet.Hosts(1, testfleet.FullDisk),
		testfleet.Hosts(1, testfleet.ReadOnlyEtc),
		testfleet.Hosts(1, testfleet.SudoPassword),
	))
	start := time.Now()
	c := f.over(t, 3, "trust-clients", "--hosts", f.names(), "--store", "docker", "--connect-timeout", "5s")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s, want connect-timeout and 5 s at most", took)
	}
	if c.Summary.Hosts != 20 || c.Summary.Changed != 14 || c.Summary.Failed != 6 {
		t.Errorf("%+v", c.Summary)
	}
	for i, r := range c.Results {
		if i < 14 && (r.Status != "changed" || r.Verified == nil || !*r.Verified) {
			t.Errorf("%+v", r)
		}
		if r.Host != fmt.Sprint("h", i) {
			t.Errorf("result %d is of %s", i, r.Host)
		}
	}
	for i, want := range []string{"nothing listens", "no SSH login", "host key has changed", "no space left", "read-only", "sudo asks ops for a password"} {
		r := c.Results[14+i]
		if r.Status != "failed" || !strings.Contains(r.Error, want) || !strings.HasPrefix(r.Error, r.Host+":") || r.Hint == "" {
			t.Errorf("%+v, want an error with %q and a hint", r, want)
		}
	}

	for _, h := range f.fleet.Hosts()[14:19] {
		h.Mend()
	}
	done := f.trees()[:14]
	again := f.onClients("trust-clients", "--retry-failed", "--become-password-stdin")
	again.Stdin = strings.NewReader(testfleet.Password + "\n")
	c = f.result(t, 0, again)
	if len(c.Results) != 6 || c.Results[0].Host != "h14" || c.Summary.Changed != 6 {
		t.Errorf("%+v", c)
	}
	for i, was := range done {
		if diff := was.Diff(f.fleet.Host(i).Tree()); len(diff) > 0 {
			t.Errorf("h%d was touched: %v", i, diff)
		}
	}
	f.over(t, 0, "trust-clients", "--retry-failed").all(t, 0, "", "")
}

// TestKilledTrust kills trust-clients at random moments: the same command again ends
// with every host verified, and untrust-clients then leaves nothing.
func TestKilledTrust(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(2, testfleet.Docker),
		testfleet.Hosts(5),
		testfleet.Hosts(3, testfleet.Sudo),
	))
	f.killedTrust(t, 30, "--store", "docker", "--map-host", f.fleet.Gateway())
	for _, h := range f.fleet.Hosts()[:2] {
		if left := h.Run("docker images -q; docker ps -aq; ls /root/.docker 2>/dev/null || :"); left != "" {
			t.Errorf("%s: left in Docker: %s", h.Name, left)
		}
	}
}

// TestKilledBundle does so where the hosts' own tool makes their bundle of CAs, which
// takes the most time of all.
func TestKilledBundle(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(2))
	f.killedTrust(t, 9, "--store", "os", "--map-host", f.fleet.Gateway())
}

func (f fleetRun) killedTrust(t *testing.T, kills int, flags ...string) {
	args := append([]string{"trust-clients", "--hosts", f.names()}, flags...)
	for _, h := range f.fleet.Hosts() {
		h.Run("sed -i /registry.test/d /etc/hosts")
	}
	f.freshBundles()
	before := f.trees()
	start := time.Now()
	f.over(t, 0, args...)
	whole := time.Since(start)
	f.over(t, 0, "untrust-clients", "--all")
	for i := range kills {
		cmd := f.onClients(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		if i%3 > 0 {
			continue // killed again on top of it
		}
		for _, r := range f.over(t, 0, args...).Results {
			if r.Verified == nil || !*r.Verified {
				t.Errorf("round %d: %+v", i, r)
			}
		}
		f.over(t, 0, "untrust-clients", "--all")
		f.asBefore(t, "after a kill", before)
	}
	f.over(t, 0, "untrust-clients", "--all")
	f.over(t, 0, args...)
	f.over(t, 0, "untrust-clients", "--all")
	f.asBefore(t, "after all kills", before)
	if _, err := os.Stat(filepath.Join(f.dir, "serve", "ctl", "canary")); !os.IsNotExist(err) {
		t.Errorf("a canary is left: %v", err)
	}
}

// TestKilledUntrust kills untrust-clients likewise: the same command again leaves
// nothing.
func TestKilledUntrust(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, slices.Concat(testfleet.Hosts(1, testfleet.Docker), testfleet.Hosts(5)), "--tls", "none")
	before := f.trees()
	trust := []string{"trust-clients", "--hosts", f.names(), "--store", "insecure", "--verify", "none"}
	f.over(t, 0, trust...)
	start := time.Now()
	f.over(t, 0, "untrust-clients", "--all")
	whole := time.Since(start)
	for range 10 {
		f.over(t, 0, trust...)
		cmd := f.onClients("untrust-clients", "--all")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		f.over(t, 0, "untrust-clients", "--all")
		f.asBefore(t, "after a kill", before)
	}
	if info := f.fleet.Host(0).Run("docker info --format '{{json .RegistryConfig}}'"); strings.Contains(info, f.address()) {
		t.Errorf("docker info still knows the registry: %s", info)
	}
}

// TestTwoRegistriesOnHosts places two registries on the same hosts: they leave in
// either order.
func TestTwoRegistriesOnHosts(t *testing.T) {
	t.Parallel()
	specs := slices.Concat(testfleet.Hosts(1, testfleet.Docker), testfleet.Hosts(1, testfleet.Sudo))
	one := newFleetRun(t, specs, "--tls", "none")
	two := fleetRun{newRun(t, one.bin, "second"), one.fleet}
	two.init(t, "--tls", "none")
	three := fleetRun{newRun(t, one.bin, "third"), one.fleet}
	three.init(t)
	one.dockerOnly()
	one.freshBundles()
	before := one.trees()
	for _, order := range [][]fleetRun{{one, two, three}, {three, two, one}, {two, three, one}} {
		for _, f := range []fleetRun{one, two} {
			f.over(t, 0, "trust-clients", "--hosts", f.names(), "--store", "insecure").all(t, 2, "changed", "")
		}
		three.over(t, 0, "trust-clients", "--hosts", one.names(), "--store", "docker", "--store", "os")
		for i, f := range order {
			f.over(t, 0, "untrust-clients", "--all").all(t, 2, "changed", "")
			for _, left := range order[i+1:] {
				left.over(t, 0, "clients check")
			}
		}
		one.asBefore(t, "after all have left", before)
	}
}

// TestFleetRecords reads what clients list says, and that no secret is in it.
func TestFleetRecords(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(2, testfleet.SudoPassword))
	before := f.trees()
	cmd := f.onClients("trust-clients", "--hosts", f.names(), "--store", "docker", "--become-password-stdin")
	cmd.Stdin = strings.NewReader(testfleet.Password + "\n")
	f.result(t, 0, cmd).all(t, 2, "changed", "")
	var list struct {
		Clients []struct {
			Host, Status, VerifiedBy string
			Verified                 bool
			Stores                   []struct{ Store, Path string }
		}
	}
	if err := json.Unmarshal([]byte(f.must(t, "clients", "list", "-o", "json")), &list); err != nil || len(list.Clients) != 2 ||
		!list.Clients[0].Verified || list.Clients[0].Stores[0].Path != "/etc/docker/certs.d/"+f.address()+"/ca.crt" {
		t.Errorf("%v, %+v", err, list)
	}
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), testfleet.Password) {
			t.Errorf("%s holds sudo's password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}

	cmd = f.onClients("untrust-clients", "--all", "--become-password-stdin")
	cmd.Stdin = strings.NewReader(testfleet.Password + "\n")
	f.result(t, 0, cmd).all(t, 2, "changed", "")
	f.asBefore(t, "after root's untrust-clients", before)
	// What is the user's own takes no root, to place, to check and to undo.
	c := f.over(t, 0, "trust-clients", "--hosts", f.names(), "--store", "docker-rootless")
	c.all(t, 2, "changed", "")
	f.fleet.Host(1).Run("su " + testfleet.User + " -c 'test -w " + c.Results[1].Stores[0].Path + " && ls ~/.local/state/regctl/undo/ledger'")
	f.over(t, 0, "clients check").all(t, 2, "unchanged", "")
	f.over(t, 0, "untrust-clients", "--all").all(t, 2, "changed", "")
	f.asBefore(t, "after the user's untrust-clients", before)
}
