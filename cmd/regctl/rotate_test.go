package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/testfleet"
)

// rotated is what cert rotate-ca prints.
type rotated struct {
	Phase, CAFingerprint string
	Skipped              []string
}

// rotate replaces the CA and demands an exit status.
func (f fleetRun) rotate(t *testing.T, code int, args ...string) rotated {
	t.Helper()
	cmd := f.command(slices.Concat([]string{"cert", "rotate-ca", "--yes", "-o", "json"}, args)...)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v: exit status %d, want %d\n%s\n%s", args, got, code, out.String(), said.String())
	}
	t.Logf("%s", said.String())
	var r rotated
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return r
}

func (f fleetRun) ca(t *testing.T) string {
	t.Helper()
	info, err := pki.Inspect(read(t, filepath.Join(f.dir, "certs", "ca.crt")))
	if err != nil {
		t.Fatal(err)
	}
	return info.Fingerprint
}

// countOn counts the CAs in a file of a host.
func countOn(h *testfleet.Host, path string) int {
	return strings.Count(h.Run("cat "+path+" 2>/dev/null || :"), "BEGIN CERTIFICATE")
}

// TestRotateCA replaces the CA of three hosts, one of which keeps it in the store of the
// OS. A dead one stops it before the switch; what is then on disk and on the hosts works
// on, and the same command finishes. In the end the hosts are as before it all.
func TestRotateCA(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(3, testfleet.Docker))
	f.freshBundles()
	hosts, before := f.fleet.Hosts(), f.trees()
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0,h1").all(t, 2, "changed", "docker pull")
	f.over(t, 0, "trust-clients", "--store", "os", "--hosts", "h2").all(t, 1, "changed", "curl")
	first, life := f.ca(t), f.life(t)
	placed := "/etc/docker/certs.d/" + f.address() + "/ca.crt"
	second := "/usr/local/share/ca-certificates/regctl-" + testfleet.RegistryName + "_" + f.port + "-2.crt"

	if out, err := f.command("cert", "rotate-ca").CombinedOutput(); err == nil || !strings.Contains(string(out), "--yes") {
		t.Errorf("it did not ask: %v\n%s", err, out)
	}
	if out := f.must(t, "cert", "rotate-ca", "--dry-run"); !strings.Contains(out, "h2") || !strings.Contains(out, "next-ca.crt") {
		t.Errorf("the dry run says\n%s", out)
	}

	hosts[1].KillSSHD()
	if r := f.rotate(t, 3, "--connect-timeout", "3s"); r.Phase != "spreading" || f.ca(t) != first {
		t.Errorf("with a dead host: %+v, the CA in force is %s", r, f.ca(t))
	}
	if n := countOn(hosts[0], placed); n != 2 {
		t.Errorf("h0 has %d CAs in between, want 2", n)
	}
	if n := countOn(hosts[2], second); n != 1 {
		t.Errorf("h2 has %d CAs in its second file, want 1", n)
	}
	f.inBetween(t, "spreading")
	hosts[1].StartSSHD()
	f.over(t, 0, "clients check").all(t, 3, "unchanged", "") // h1 has the one in force
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h1").all(t, 1, "changed", "docker pull")
	if n := countOn(hosts[1], placed); n != 2 {
		t.Errorf("trust-clients in between gave h1 %d CAs, want 2", n)
	}

	r := f.rotate(t, 0)
	if now := f.ca(t); now == first || r.Phase != "done" || r.CAFingerprint != now || len(r.Skipped) > 0 {
		t.Errorf("%+v, the CA in force is %s, was %s", r, now, first)
	}
	if now := f.life(t); now != life {
		t.Errorf("%s became %s: it was restarted", life, now)
	}
	for i, want := range map[int]int{0: 1, 1: 1, 2: 0} {
		if n := countOn(hosts[i], placed); n != want {
			t.Errorf("h%d has %d CAs for docker, want %d", i, n, want)
		}
	}
	if n := countOn(hosts[2], second); n != 0 {
		t.Errorf("h2 still has %s", second)
	}
	f.over(t, 0, "clients check").all(t, 3, "unchanged", "")
	f.settledDown(t)

	hosts[1].KillSSHD()
	if r := f.rotate(t, 0, "--skip-unreachable", "--connect-timeout", "3s"); r.Phase != "done" || !slices.Equal(r.Skipped, []string{"h1"}) {
		t.Errorf("%+v, want h1 skipped", r)
	}
	hosts[1].StartSSHD()
	if c := f.over(t, 4, "clients check"); c.Results[1].Status != "drifted" || c.Results[0].Status != "unchanged" {
		t.Errorf("%+v, want h1 drifted and no other", c.Results)
	}
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h1").all(t, 1, "changed", "docker pull")
	f.over(t, 0, "untrust-clients", "--all").all(t, 3, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
	f.must(t, "destroy", "--yes")
}

// inBetween has other commands meet a rotation that is not done.
func (f fleetRun) inBetween(t *testing.T, phase string) {
	t.Helper()
	if out := f.must(t, "cert", "show"); !strings.Contains(out, "is being replaced ("+phase+")") {
		t.Errorf("cert show says\n%s", out)
	}
	if out := f.must(t, "status", "-o", "json"); !strings.Contains(out, "the CA is being replaced ("+phase+")") {
		t.Errorf("status says\n%s", out)
	}
	if n := strings.Count(f.must(t, "cert", "export"), "BEGIN CERTIFICATE"); n != 2 {
		t.Errorf("cert export has %d CAs, want 2", n)
	}
	ca := f.ca(t)
	f.must(t, "cert", "renew", "--force")
	if out := f.must(t, "plan"); !strings.Contains(out, "nothing to do") || f.ca(t) != ca {
		t.Errorf("plan says, with the CA %s that was %s\n%s", f.ca(t), ca, out)
	}
	f.must(t, "apply")
}

// settledDown demands that nothing of a rotation is left on this machine.
func (r *run) settledDown(t *testing.T) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(r.dir, "certs", "*-ca.*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if text := string(read(t, filepath.Join(r.dir, "state.json"))); strings.Contains(text, `"rotation"`) || strings.Contains(text, "next-ca") || strings.Contains(text, "old-ca") {
		t.Errorf("state.json has the rotation still:\n%s", text)
	}
	r.must(t, "cert", "show")
	if out := r.must(t, "plan"); !strings.Contains(out, "nothing to do") {
		t.Errorf("plan says\n%s", out)
	}
}

// TestNamesBeyondTheCA adds names that the CA may not sign for: apply has the hosts that
// trust it come to another one, as rotate-ca does.
func TestNamesBeyondTheCA(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker))
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	yaml, life := filepath.Join(f.dir, "regctl.yaml"), f.life(t)
	for _, name := range []string{"other.example", "third.example"} {
		was := f.ca(t)
		write(t, yaml, strings.Replace(string(read(t, yaml)), "- "+testfleet.RegistryName, "- "+testfleet.RegistryName+"\n  - "+name, 1))
		if name == "other.example" {
			f.must(t, "apply")
		} else {
			f.rotate(t, 0)
		}
		if out := f.must(t, "cert", "show"); !strings.Contains(out, name) || f.ca(t) == was {
			t.Errorf("the CA is as it was, or cert show says\n%s", out)
		}
		f.settledDown(t)
	}
	if now := f.life(t); now != life {
		t.Errorf("%s became %s: it was restarted", life, now)
	}
	f.over(t, 0, "clients check").all(t, 1, "unchanged", "docker pull")
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}

// TestRotateExpiredCA replaces a CA that has expired under a host that trusts it.
func TestRotateExpiredCA(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker))
	c := pki.Config{Hosts: []string{testfleet.RegistryName}, Name: f.name, CertDays: 20, CADays: 30, Now: time.Now().Add(-31 * 24 * time.Hour)}
	ca, caKey, err := pki.NewCA(c)
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err := pki.Issue(ca, caKey, c)
	if err != nil {
		t.Fatal(err)
	}
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	for path, data := range map[string][]byte{
		"certs/ca.crt": ca, "certs/ca.key": caKey, "serve/tls/current/crt": leaf, "serve/tls/current/key": key,
	} {
		if err := os.WriteFile(filepath.Join(f.dir, path), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := f.command("apply").CombinedOutput(); err == nil || !strings.Contains(string(out), "regctl cert rotate-ca") {
		t.Errorf("apply: %v\n%s", err, out)
	}
	// Stopped, it is switched, and what is left waits until the clients can prove something.
	f.must(t, "stop")
	out, err := f.command("cert", "rotate-ca", "--yes").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hint: regctl start starts it") {
		t.Errorf("rotate-ca of a stopped registry: %v\n%s", err, out)
	}
	f.must(t, "start")
	f.rotate(t, 0)
	f.settledDown(t)
	f.over(t, 0, "clients check").all(t, 1, "unchanged", "docker pull")
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}

// TestRotateRuntimes has podman and containerd come to the new CA.
func TestRotateRuntimes(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Podman),
		testfleet.Hosts(1, testfleet.Containerd, testfleet.File("/etc/containerd/config.toml",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n")),
	))
	before := f.trees()
	f.over(t, 0, "trust-clients", "--hosts", "h0", "--store", "podman").all(t, 1, "changed", "podman pull")
	f.over(t, 0, "trust-clients", "--hosts", "h1", "--store", "containerd").all(t, 1, "changed", "ctr pull")
	f.rotate(t, 0)
	f.over(t, 0, "clients check").all(t, 2, "unchanged", "")
	for _, h := range f.fleet.Hosts() {
		if found := h.Run("grep -rc 'BEGIN CERTIFICATE' /etc/containers/certs.d /etc/containerd/certs.d 2>/dev/null | grep -v ':[01]$' || :"); found != "" {
			t.Errorf("%s has two CAs still: %s", h.Name, found)
		}
	}
	f.over(t, 0, "untrust-clients", "--all").all(t, 2, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}
