package main_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/testpebble"
)

// brought is a CA of the operator's with a pair for the registry, as files.
type brought struct{ ca, cert, key string }

func newBrought(t *testing.T) brought {
	t.Helper()
	dir := t.TempDir()
	b := brought{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	c := pki.Config{Name: "somebody", Hosts: []string{testfleet.RegistryName}, CertDays: 30, CADays: 60, Now: time.Now()}
	ca, caKey, err := pki.NewCA(c)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := pki.Issue(ca, caKey, c)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{b.ca: ca, b.cert: cert, b.key: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// own is the tls of regctl.yaml for the pair and its CA, public that without the CA.
func (b brought) own() string { return b.public() + "  caCert: " + b.ca + "\n" }

func (b brought) public() string {
	return "  mode: files\n  cert: " + b.cert + "\n  key: " + b.key + "\n"
}

// tls asks for another tls in regctl.yaml.
func (r *run) tls(t *testing.T, lines string) {
	t.Helper()
	path := filepath.Join(r.dir, "regctl.yaml")
	was := string(read(t, path))
	now := regexp.MustCompile(`(?m)^tls:\n(  .*\n)+`).ReplaceAllLiteralString(was, "tls:\n"+lines)
	if now == was {
		t.Fatalf("regctl.yaml has no other tls:\n%s", was)
	}
	write(t, path, now)
}

// holds demands that hosts trust the CA in force and no other, or none at all, and push.
func (f fleetRun) holds(t *testing.T, hosts []*testfleet.Host, placed string, own bool) {
	t.Helper()
	for _, h := range hosts {
		got, want := h.Run("cat "+placed+" 2>/dev/null || :"), ""
		if own {
			want = string(read(t, filepath.Join(f.dir, "certs", "ca.crt")))
		}
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %s is\n%s\nwant\n%s", h.Name, placed, got, want)
		}
		if err := f.pushFrom(h, "after"); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"old-ca.crt", "next-ca.crt", "next-ca.key"} {
		if _, err := os.Stat(filepath.Join(f.dir, "certs", name)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	if out := f.must(t, "plan"); !strings.Contains(out, "nothing to do") {
		t.Errorf("plan says\n%s", out)
	}
}

// stopsAt demands that apply does not switch while the second host is dead, and that
// the first then has n CAs.
func (f fleetRun) stopsAt(t *testing.T, hosts []*testfleet.Host, placed string, n int) {
	t.Helper()
	hosts[1].KillSSHD()
	out, err := f.command("apply").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing was switched: h1 is not ready") {
		t.Errorf("apply with a dead host: %v\n%s", err, out)
	}
	hosts[1].StartSSHD()
	if got := countOn(hosts[0], placed); got != n {
		t.Errorf("h0 has %d CAs before the switch, want %d", got, n)
	}
	for _, h := range hosts {
		if err := f.pushFrom(h, "between"); err != nil {
			t.Error(err)
		}
	}
}

// TestCAWithClients has a registry change the CA that vouches for it, by apply, with the
// hosts that trust it: the operator's, our own, others of the operator's, and from plain
// HTTP. At last it moves to another port.
func TestCAWithClients(t *testing.T) {
	t.Parallel()
	first, second, third := newBrought(t), newBrought(t), newBrought(t)
	f := newFleetRun(t, testfleet.Hosts(2, testfleet.Docker), "--tls", "files", "--cert", first.cert, "--key", first.key, "--ca-cert", first.ca)
	f.dockerOnly()
	hosts, before := f.fleet.Hosts(), f.trees()
	f.over(t, 0, "trust-clients", "--hosts", f.names()).all(t, 2, "changed", "docker pull")
	dockers := []string{dockerd(hosts[0]), dockerd(hosts[1])}
	placed := "/etc/docker/certs.d/" + f.address() + "/ca.crt"

	f.tls(t, "  mode: selfsigned\n")
	if out, _ := f.command("plan").CombinedOutput(); !strings.Contains(string(out), "trusts the CA that is to come too") {
		t.Errorf("plan says\n%s", out)
	}
	f.stopsAt(t, hosts, placed, 2)
	f.must(t, "apply")
	f.holds(t, hosts, placed, true)
	f.over(t, 0, "clients check").all(t, 2, "unchanged", "docker pull")

	for _, b := range []brought{second, third} {
		f.tls(t, b.own())
		f.must(t, "apply")
		f.holds(t, hosts, placed, true)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "certs", "ca.key")); !os.IsNotExist(err) {
		t.Errorf("the key of a CA that is gone: %v", err)
	}

	f.tls(t, "  mode: none\n")
	f.must(t, "apply")
	f.formIs(t, hosts, placed, false)
	f.tls(t, first.own())
	f.stopsAt(t, hosts, placed, 1)
	f.must(t, "apply")
	f.holds(t, hosts, placed, true)

	old := f.port
	yaml := filepath.Join(f.dir, "regctl.yaml")
	f.port = newRun(t, f.bin, "port").port
	write(t, yaml, strings.Replace(string(read(t, yaml)), "port: "+old, "port: "+f.port, 1))
	f.must(t, "apply")
	f.holds(t, hosts, "/etc/docker/certs.d/"+f.address()+"/ca.crt", true)
	if n := countOn(hosts[0], placed); n != 0 {
		t.Errorf("h0 still has %s", placed)
	}

	for i, h := range hosts {
		if dockerd(h) != dockers[i] {
			t.Errorf("%s: dockerd was restarted", h.Name)
		}
	}
	f.over(t, 0, "untrust-clients", "--all").all(t, 2, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
	f.must(t, "destroy", "--yes")
}

// trustsPublicly has a host's system trust a CA, as it trusts those of the internet.
func trustsPublicly(t *testing.T, h *testfleet.Host, name string, root []byte) {
	t.Helper()
	h.Run("mkdir -p /usr/local/share/ca-certificates")
	if err := h.WriteFile("/usr/local/share/ca-certificates/"+name+".crt", root); err != nil {
		t.Fatal(err)
	}
	h.Run("update-ca-certificates >/dev/null 2>&1")
}

// TestPublicCAWithClients has hosts prove that they trust a registry by the CAs of their
// system, and come along when it goes over to such a CA and back: by files of the
// operator's, and by a real ACME server. One whose system has not the CA keeps what it had.
func TestPublicCAWithClients(t *testing.T) {
	t.Parallel()
	ca := testpebble.New(t, testpebble.Options{})
	bought := newBrought(t)
	f := newFleetRun(t, testfleet.Hosts(2, testfleet.Docker), "--tls", "files", "--cert", bought.cert, "--key", bought.key)
	f.dockerOnly()
	hosts := f.fleet.Hosts()
	trustsPublicly(t, hosts[0], "bought", read(t, bought.ca))
	trustsPublicly(t, hosts[0], "pebble", ca.Root(0))
	trustsPublicly(t, hosts[1], "pebble", ca.Root(0))
	for _, h := range hosts {
		h.Run("service docker restart")
	}
	got := f.over(t, 3, "trust-clients", "--hosts", f.names())
	if r := got.Results[0]; r.Status != "unchanged" || r.VerifiedBy != "docker pull" || len(r.Stores) != 1 || r.Stores[0].Path != "" {
		t.Errorf("%+v, want it proven and nothing placed", r)
	}
	if r := got.Results[1]; r.Status != "failed" || !strings.Contains(r.Error, "unknown authority") {
		t.Errorf("%+v, want it failed for its CA", r)
	}
	f.over(t, 0, "clients check").all(t, 1, "unchanged", "docker pull")
	placed := "/etc/docker/certs.d/" + f.address() + "/ca.crt"

	f.tls(t, "  mode: selfsigned\n")
	f.must(t, "apply")
	f.holds(t, hosts[:1], placed, true)
	f.over(t, 0, "trust-clients", "--hosts", "h1").all(t, 1, "changed", "docker pull")

	f.tls(t, bought.public())
	out, err := f.command("apply").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not all hosts have followed: h1 is not done") {
		t.Errorf("apply where h1 has not the CA: %v\n%s", err, out)
	}
	if n := countOn(hosts[1], placed); n != 1 {
		t.Errorf("h1 has %d CAs, want the one that it had", n)
	}
	f.tls(t, "  mode: selfsigned\n")
	f.must(t, "apply")
	f.holds(t, hosts, placed, true)

	root := filepath.Join(t.TempDir(), "acme-ca.pem")
	write(t, root, string(ca.CA))
	f.tls(t, "  mode: letsencrypt\n  acceptTOS: true\n  acmeServer: "+ca.Directory+"\n  acmeCA: "+root+
		"\n  challengeAddr: "+net.JoinHostPort(ca.Addr, strconv.Itoa(ca.HTTPPort))+"\n")
	f.must(t, "apply")
	f.holds(t, hosts, placed, false)
	f.over(t, 0, "clients check").all(t, 2, "unchanged", "docker pull")
	f.tls(t, "  mode: none\n")
	f.must(t, "apply")
	f.formIs(t, hosts, placed, false)
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}

// TestKilledCAChange kills apply at random moments of changes between a CA of the
// operator's, our own, and one that the host's system trusts; the same command again
// finishes, and at no moment is the host left behind.
func TestKilledCAChange(t *testing.T) {
	t.Parallel()
	own, bought := newBrought(t), newBrought(t)
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker), "--tls", "files", "--cert", own.cert, "--key", own.key, "--ca-cert", own.ca)
	f.dockerOnly()
	hosts, placed := f.fleet.Hosts(), "/etc/docker/certs.d/"+f.address()+"/ca.crt"
	trustsPublicly(t, hosts[0], "bought", read(t, bought.ca))
	hosts[0].Run("service docker restart")
	f.over(t, 0, "trust-clients", "--hosts", "h0").all(t, 1, "changed", "docker pull")
	modes := []string{"  mode: selfsigned\n", bought.public(), own.own()}
	f.tls(t, modes[0])
	start := time.Now()
	f.must(t, "apply")
	whole := time.Since(start)
	for i := range 2 * len(modes) {
		to := modes[(i+1)%len(modes)]
		f.tls(t, to)
		moment := f.killedAt(t, whole, "apply")
		if err := f.pushFrom(hosts[0], "between"); err != nil {
			t.Errorf("killed after %v: %v", moment, err)
		}
		f.must(t, "apply")
		f.noHalfFile(t)
		f.holds(t, hosts, placed, to != bought.public())
		if t.Failed() {
			t.Fatalf("to\n%skilled after %v of %v", to, moment, whole)
		}
	}
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}

// TestCAChangeRuntimes has podman and containerd come along: from a CA of the operator's
// to our own, to one that their systems trust, and back.
func TestCAChangeRuntimes(t *testing.T) {
	t.Parallel()
	own, bought := newBrought(t), newBrought(t)
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Podman),
		testfleet.Hosts(1, testfleet.Containerd, testfleet.File("/etc/containerd/config.toml",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n")),
	), "--tls", "files", "--cert", own.cert, "--key", own.key, "--ca-cert", own.ca)
	hosts := f.fleet.Hosts()
	f.over(t, 0, "trust-clients", "--hosts", "h0", "--store", "podman").all(t, 1, "changed", "podman pull")
	f.over(t, 0, "trust-clients", "--hosts", "h1", "--store", "containerd")
	placed := []string{"/etc/containers/certs.d/" + f.address() + "/ca.crt", "/etc/containerd/certs.d/" + f.address() + "/ca.crt"}
	for _, h := range hosts {
		trustsPublicly(t, h, "bought", read(t, bought.ca))
	}
	for _, to := range []string{"  mode: selfsigned\n", bought.public(), own.own()} {
		f.tls(t, to)
		f.must(t, "apply")
		want := 1
		if to == bought.public() {
			want = 0
		}
		for i, h := range hosts {
			if n := countOn(h, placed[i]); n != want {
				t.Errorf("to\n%s%s has %d CAs, want %d", to, h.Name, n, want)
			}
		}
		for _, r := range f.over(t, 0, "clients check").Results {
			if r.Verified == nil || !*r.Verified || !strings.Contains(r.VerifiedBy, "pull") {
				t.Errorf("to\n%s%+v", to, r)
			}
		}
	}
	f.over(t, 0, "untrust-clients", "--all").all(t, 2, "changed", "")
	f.must(t, "destroy", "--yes")
}
