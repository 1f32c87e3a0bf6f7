package testfleet_test

import (
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

func TestHosts(t *testing.T) {
	fleet := testfleet.New(t, testfleet.Hosts(3)...)
	for _, h := range fleet.Hosts() {
		out, err := fleet.SSH(h.Name, "hostname; id -un").CombinedOutput()
		if err != nil || string(out) != h.Name+"\nroot\n" {
			t.Errorf("%s: %v\n%s", h.Name, err, out)
		}
	}
}
