package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

// kept is a daemon.json with everything in it that an editor could spoil: order,
// indentation, CRLF, non-ASCII, an escaped character.
const kept = "{\r\n   \"log-level\": \"info\",\r\n\t\"labels\" : [ \"ort=Köln\", \"a=\\u0062\" ],\r\n   \"max-concurrent-downloads\":5\r\n}\r\n"

// TestFleetPlainHTTP enters a plain-HTTP registry as an insecure one: in a daemon.json
// that keeps all else, by a reload; and as a flag where dockerd has the flag already.
func TestFleetPlainHTTP(t *testing.T) {
	t.Parallel()
	legacy := testfleet.File("/etc/default/docker", "# options of dockerd\nDOCKER_OPTS=\"--insecure-registry=old.test:5000 --log-level=info\"\n")
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker),
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSON(kept)),
		testfleet.Hosts(1, testfleet.Docker, legacy),
	), "--tls", "none")
	f.dockerOnly()
	before := f.trees()
	var pids []string
	for _, h := range f.fleet.Hosts() {
		pids = append(pids, dockerd(h))
	}

	// Without --restart the host with the flag fails, and nothing on it is touched.
	c := f.over(t, 3, "trust-clients", "--hosts", f.names(), "--store", "auto")
	if r := c.Results[2]; r.Status != "failed" || !strings.Contains(r.Hint, "--restart") || c.Summary.Changed != 2 {
		t.Errorf("the legacy host: %+v", r)
	}
	if diff := before[2].Diff(f.fleet.Host(2).Tree()); len(diff) > 0 {
		t.Errorf("the legacy host was touched: %v", diff)
	}
	c = f.over(t, 0, "trust-clients", "--retry-failed", "--restart")
	c.all(t, 1, "changed", "docker pull")
	if s := c.Results[0].Stores[0]; s.Store != "legacy" || s.Path != "/etc/default/docker" {
		t.Errorf("the legacy host: %+v", s)
	}
	if got := f.fleet.Host(2).Run("cat /etc/default/docker"); !strings.Contains(got, `--insecure-registry=old.test:5000 --log-level=info --insecure-registry=`+f.address()) {
		t.Errorf("/etc/default/docker is\n%s", got)
	}
	for i, h := range f.fleet.Hosts() {
		if info := h.Run("docker info --format '{{json .RegistryConfig}}'"); !strings.Contains(info, f.address()) {
			t.Errorf("%s: docker info does not know the registry: %s", h.Name, info)
		}
		if restarted := dockerd(h) != pids[i]; restarted != (i == 2) {
			t.Errorf("%s: restarted is %v", h.Name, restarted)
		}
		if err := f.pushFrom(h, fmt.Sprint("from", i)); err != nil {
			t.Error(err)
		}
	}
	want := strings.Replace(kept, "downloads\":5\r\n", fmt.Sprintf("downloads\":5,\r\n   \"insecure-registries\": [%q]\r\n", f.address()), 1)
	if got, err := f.fleet.Host(1).ReadFile("/etc/docker/daemon.json"); err != nil || string(got) != want {
		t.Errorf("%v, daemon.json is\n%q, want\n%q", err, got, want)
	}

	f.over(t, 0, "trust-clients", "--hosts", f.names(), "--store", "auto").all(t, 3, "unchanged", "docker pull")
	f.over(t, 0, "untrust-clients", "--all", "--restart").all(t, 3, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
	for _, h := range f.fleet.Hosts() {
		if info := h.Run("docker info --format '{{json .RegistryConfig}}'"); strings.Contains(info, f.address()) {
			t.Errorf("%s: docker info still knows the registry: %s", h.Name, info)
		}
	}
}

// TestDaemonJSON meets the daemon.json that are out there.
func TestDaemonJSON(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker, testfleet.BrokenDaemonJSON),
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSONLink("{\"log-level\": \"info\"}\n")),
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSON("{\n  \"hosts\": [\"unix:///var/run/docker.sock\"]\n}\n")),
		testfleet.Hosts(1, testfleet.Docker, testfleet.ReadOnlyEtc),
		testfleet.Hosts(1, testfleet.Docker), // has the entry already, see below
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSON("{\"registry-mirrors\": [\"http://mirror.test:5000\"]}\n")),
	), "--tls", "none")
	f.dockerOnly()
	theirs := fmt.Sprintf("{\"insecure-registries\": [%q]}", f.address())
	f.fleet.Host(4).Run("printf '%s' '" + theirs + "' >/etc/docker/daemon.json && kill -HUP $(cat /var/run/docker.pid)")
	before := f.trees()

	c := f.over(t, 3, "trust-clients", "--hosts", f.names(), "--store", "auto")
	for i, want := range []struct{ status, err, hint string }{
		{"failed", "/etc/docker/daemon.json: line ", "mend the file"},
		{"changed", "", ""},
		{"changed", "", ""},
		{"failed", "/etc/docker", "read-only"},
		{"unchanged", "", ""},
		{"failed", "moby 45552", "--restart"},
	} {
		r := c.Results[i]
		if r.Status != want.status || !strings.Contains(r.Error, want.err) || !strings.Contains(r.Hint, want.hint) || (r.Error == "") != (want.err == "") {
			t.Errorf("%s: %+v, want %+v", r.Host, r, want)
		}
		if diff := before[i].Diff(f.fleet.Host(i).Tree()); want.status != "changed" && len(diff) > 0 {
			t.Errorf("%s was touched: %s", r.Host, strings.Join(diff, "\n"))
		}
	}
	if got := f.fleet.Host(1).Run("readlink /etc/docker/daemon.json; cat /etc/docker/real.json"); !strings.HasPrefix(got, "/etc/docker/real.json\n{\"log-level\": \"info\"") || !strings.Contains(got, f.address()) {
		t.Errorf("the linked daemon.json is %s", got)
	}

	c = f.over(t, 0, "trust-clients", "--hosts", "h5", "--restart")
	c.all(t, 1, "changed", "docker pull")
	// A reload by somebody else would lose the registry there, so undoing it must not
	// reload either.
	f.over(t, 0, "untrust-clients", "--all", "--restart")
	f.asBefore(t, "after untrust-clients", before)
	if info := f.fleet.Host(4).Run("docker info --format '{{json .RegistryConfig}}'"); !strings.Contains(info, f.address()) {
		t.Errorf("an entry that was there before is gone: %s", info)
	}

	// One that dockerd has not read yet is brought to its notice.
	f.fleet.Host(4).Run(`echo '{"insecure-registries": []}' >/etc/docker/daemon.json && kill -HUP $(cat /var/run/docker.pid)
		while docker info | grep -q registry.test; do sleep 0.1; done; printf '%s' '` + theirs + `' >/etc/docker/daemon.json`)
	f.over(t, 0, "trust-clients", "--hosts", "h4").all(t, 1, "changed", "docker pull")
	f.over(t, 0, "trust-clients", "--hosts", "h4").all(t, 1, "unchanged", "docker pull")
	f.over(t, 0, "untrust-clients", "--hosts", "h4")
	f.asBefore(t, "after another untrust-clients", before)
}
