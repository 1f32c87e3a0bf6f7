package trust

import (
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testfleet"
)

const insecureInfo = "docker info --format '{{json .RegistryConfig.IndexConfigs}}'"

// TestOnDocker has a registry over plain HTTP come and go on real engines: one that is
// told by a signal, and one that has the flag and must be restarted.
func TestOnDocker(t *testing.T) {
	fleet := testfleet.New(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSON("{\r\n\t\"debug\": true\r\n}")),
		testfleet.Hosts(1, testfleet.Docker, testfleet.File("/etc/default/docker", "DOCKER_OPTS=\"--insecure-registry old.test:5000 --label a=b\"\n")),
	)...)
	for i, c := range []struct {
		store Store
		opts  Options
	}{{Insecure, Options{}}, {Legacy, Options{Restart: true}}} {
		h := fleet.Host(i)
		s := login(t, fleet, h)
		before, certs, pid := h.Tree(), bundle(h), h.Run("pidof dockerd")
		placed := trustOn(t, s, plain(), nil, c.opts)
		if placed[0].Store != c.store {
			t.Fatalf("%s: %+v", h.Name, placed)
		}
		if got := h.Run(insecureInfo); !strings.Contains(got, "registry.test:5000") || c.store == Legacy && !strings.Contains(got, "old.test:5000") {
			t.Errorf("%s knows %s", h.Name, got)
		}
		if same := h.Run("pidof dockerd") == pid; same != (c.store == Insecure) {
			t.Errorf("%s: dockerd is the same one: %v", h.Name, same)
		}
		// A daemon that was restarted does not keep others out.
		if _, err := h.Exec("flock -n /root true"); err != nil {
			t.Error(err)
		}
		untrustOn(t, s, c.opts, plain())
		if c.store == Legacy {
			h.Run("until docker version; do sleep 0.1; done")
		}
		if got := h.Run(insecureInfo); strings.Contains(got, "registry.test:5000") || c.store == Legacy && !strings.Contains(got, "old.test:5000") {
			t.Errorf("%s still knows %s", h.Name, got)
		}
		sameTree(t, h, before, certs)
		if h.Run("pidof dockerd") != pid && c.store == Insecure {
			t.Errorf("%s: dockerd was restarted", h.Name)
		}
	}
	t.Run("reload", func(t *testing.T) { failing(t, fleet, 0, host.ReloadDockerd(), host.ValidateDockerd("")) })
	t.Run("restart", func(t *testing.T) { failing(t, fleet, 1, host.RestartService("docker")) })
}

// failing has the ops after an edit fail: it is taken back, and the engine lives on
// with what it had.
func failing(t *testing.T, fleet *testfleet.Fleet, number int, then ...host.Op) {
	h := fleet.Host(number)
	s := login(t, fleet, h)
	before, certs := h.Tree(), bundle(h)
	edit := Edit{
		Path: "/etc/docker/daemon.json", Mode: 0o644, Editor: DaemonJSON{InsecureRegistries, "other.test:5000"},
		Then: func(_, _ []byte) ([]host.Op, error) { return append(then, host.DockerInfoShows("no such thing")), nil },
	}
	planned, err := step.Plan(t.Context(), s, append(plain().dirs(0, 0, "/etc/docker"), edit))
	if err != nil {
		t.Fatal(err)
	}
	receipts, err := step.Run(t.Context(), s, planned, noJournal{})
	if err == nil || !strings.Contains(err.Error(), "docker info still does not agree") {
		t.Fatalf("%v", err)
	}
	if err := step.Undo(t.Context(), s, receipts); err != nil {
		t.Fatal(err)
	}
	h.Run("until docker version; do sleep 0.1; done")
	if got := h.Run("docker info --format '{{.Labels}} {{.Debug}}'"); got != [...]string{"[] true", "[a=b] false"}[number] {
		t.Errorf("%s has lost its configuration: %s", h.Name, got)
	}
	sameTree(t, h, before, certs)
}
