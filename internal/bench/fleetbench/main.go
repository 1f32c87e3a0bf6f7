// Command fleetbench measures trust-clients: one CA file on many hosts, against the
// ways in which people do that by hand, in turn within one run and on the same hosts;
// the round trips that one host takes; and what a thousand hosts cost.
//
// The hosts are those of internal/testfleet, on this machine, so it needs root on
// Linux, and the packages of .ci/bench-packages. sshd's part is most of the work and is
// the same for all, so the ratios are what to compare, and the CPU of the client.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	// The contenders in Go are processes of their own too, like all others.
	if len(os.Args) > 1 && os.Args[1] == "prototype" {
		end(prototype(os.Args[2:]))
	}
	o := options{}
	flag.StringVar(&o.regctl, "regctl", "bin/regctl", "the executable to measure")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of the comparison, interleaved")
	flag.IntVar(&o.hosts, "hosts", 50, "hosts of the comparison")
	flag.StringVar(&o.only, "only", "", "contenders of the comparison whose names hold this, beside regctl")
	parts := flag.String("parts", "compare,turns,thousand", "which to measure")
	flag.Parse()
	o.parts = strings.Split(*parts, ",")
	end(run(o))
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleetbench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	regctl        string
	only          string
	rounds, hosts int
	parts         []string
}

func (o options) has(part string) bool { return slices.Contains(o.parts, part) }

func run(o options) error {
	dir, err := os.MkdirTemp("", "fleetbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	if err := b.setUp(); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{{"compare", b.compare}, {"turns", b.turns}, {"thousand", b.thousand}} {
		if !o.has(part.name) {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
