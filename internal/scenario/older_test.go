package scenario

import "testing"

func TestOlder(t *testing.T) {
	// Each is older than the next.
	order := []string{"v0.3.0-rc.2", "0.3.0-rc.10", "v0.3.0", "v0.3.0-2-gabcdef0", "0.3.0-12-g0123456-dirty", "v0.3.1-snapshot.abc", "0.3.1", "v0.10.0", "1.0.0"}
	for i, a := range order {
		for j, b := range order {
			if got := Older(a, b); got != (i < j) {
				t.Errorf("Older(%q, %q) = %t", a, b, got)
			}
		}
	}
	for _, pair := range [][2]string{{"dev", "v1.0.0"}, {"v1.0.0", "dev"}, {"", "v1.0.0"}, {"27817b7", "v1.0.0"}, {"v1.0.0", "1.0.0"}, {"v1.0.0-dirty", "v1.0.0"}} {
		if Older(pair[0], pair[1]) || Older(pair[1], pair[0]) {
			t.Errorf("%v: one is taken for the older", pair)
		}
	}
}
