package main_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

// TestSideBySide makes and destroys registries at the same time: they share an
// image, which goes with the last of them, perhaps while the next is being made.
func TestSideBySide(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	var all sync.WaitGroup
	for i := range 3 {
		r := newRun(t, bin, "beside"+strconv.Itoa(i))
		all.Go(func() {
			for range 4 {
				for _, args := range [][]string{{"init", "--tls", "none", "--port", r.port}, {"status", "--check"}, {"destroy", "--yes"}} {
					if out, err := r.command(args...).CombinedOutput(); err != nil {
						t.Errorf("%s %v: %v\n%s", r.name, args, err, out)
						return
					}
				}
			}
		})
	}
	all.Wait()
}
