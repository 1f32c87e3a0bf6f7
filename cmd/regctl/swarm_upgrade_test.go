package main_test

import (
	"strings"
	"testing"
)

// upgrades has a build take over that does not serve, and one that does, killed on the
// way, under load: not one pull may fail, and no node keeps an image that nobody runs.
func (s *swarmRun) upgrades(t *testing.T) {
	t.Helper()
	mute, next := buildAs(t, "", "./testdata/next", "-X main.mute=yes"), buildAs(t, "", "./testdata/next")
	before := s.image()
	stop := s.pulling(t, 2)

	s.Install(mute)
	_, said := s.regctl(t, 1, "upgrade --yes")
	if !strings.Contains(said, "did not take over") || !strings.Contains(said, "serves again: ") || !strings.Contains(said, "hint: ") {
		t.Errorf("upgrade to a build that does not serve said\n%s", said)
	}
	if now := s.image(); now != before {
		t.Errorf("the service runs %s, before %s", now, before)
	}
	if now := s.status(t); now.State != "running" || !now.Healthy || len(now.Tasks) != 2 {
		t.Errorf("after it was taken back: %+v", now)
	}
	s.oneImageEach(t)

	s.Install(next)
	s.killAt(t, "waiting for the tasks", "upgrade --yes")
	s.regctl(t, 0, "upgrade --yes")
	after := s.image()
	if after == before {
		t.Errorf("the service runs %s still", after)
	}
	s.oneImageEach(t)
	for _, args := range []string{"upgrade", "plan"} {
		if out, said := s.regctl(t, 0, args); !strings.Contains(out+said, "nothing to do") {
			t.Errorf("%s after it:\n%s%s", args, out, said)
		}
	}
	found := stop()
	t.Log(found)
	if len(found.failed) > 0 {
		t.Errorf("pulls failed: %v", found.failed)
	}
}

// image is what the service runs.
func (s *swarmRun) image() string {
	return s.Manager.Run("docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' registry")
}

// oneImageEach demands that each node has the image of the service and no other.
func (s *swarmRun) oneImageEach(t *testing.T) {
	t.Helper()
	want := s.image()
	for _, h := range s.Nodes() {
		if got := h.Run("docker images -q --no-trunc"); got != want {
			t.Errorf("%s has the images %q, and the service runs %s", h.Name, got, want)
		}
	}
}
