package main_test

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

// TestFleetMirror has hosts use a mirror of a registry that is not Docker Hub: podman
// pulls the upstream's images by way of it, Docker beside it is passed over, and
// where Docker alone is named the host is refused, and told why.
func TestFleetMirror(t *testing.T) {
	t.Parallel()
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker, testfleet.Podman), "--mirror-of", "https://upstream.test")
	before := f.trees()
	c := f.over(t, 1, "trust-clients", "--hosts", "h0", "--store", "docker", "--as-mirror")
	if r := c.Results[0]; r.Status != "failed" || !strings.Contains(r.Error, "Docker Hub alone") {
		t.Errorf("%+v", r)
	}
	f.asBefore(t, "after a refusal", before)
	c = f.over(t, 0, "trust-clients", "--hosts", "h0", "--as-mirror")
	c.all(t, 1, "changed", "docker pull, podman pull")
	stores := ""
	for _, s := range c.Results[0].Stores {
		stores += s.Store + " "
	}
	if stores != "docker podman mirror " {
		t.Errorf("stores: %s", stores)
	}
	f.over(t, 0, "clients check").all(t, 1, "unchanged", "")
	f.over(t, 0, "untrust-clients", "--all").all(t, 1, "changed", "")
	f.asBefore(t, "after untrust-clients", before)
}
