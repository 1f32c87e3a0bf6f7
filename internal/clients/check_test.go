package clients

import (
	"testing"

	"github.com/regctl/regctl/internal/trust"
)

// TestMending has the hint name all that puts the host right, and no more.
func TestMending(t *testing.T) {
	opts := trust.Options{MapHost: "192.0.2.5", AsMirror: true}
	for want, strayed := range map[string][]trust.Store{
		"":                                 {},
		" --store docker --store podman":   {trust.Docker, trust.Podman, trust.Docker},
		" --map-host 192.0.2.5":            {trust.MapHost},
		" --store insecure --as-mirror":    {trust.Insecure, trust.Mirror, trust.Insecure, trust.Mirror},
		" --store os --map-host 192.0.2.5": {trust.MapHost, trust.OS},
	} {
		all := []Store{{Store: trust.K3s, Status: Unchanged}}
		for _, s := range strayed {
			all = append(all, Store{Store: s, Status: Drifted})
		}
		if got := mending("web1", all, opts); got != "regctl trust-clients --hosts web1"+want+" mends it" {
			t.Errorf("%v: %s", strayed, got)
		}
	}
}
