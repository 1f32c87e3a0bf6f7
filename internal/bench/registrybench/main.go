// Command registrybench measures the embedded registry against Debian's
// docker-registry (distribution 2.8.2), both with files on the same disk and served
// to the same load generator, in turn within one run: manifest GETs, blob GETs over
// plain HTTP and TLS, blob PUTs. It also measures regctl serve's start, idle memory
// and size.
//
// docker-registry runs with the configuration that Debian ships, but for
// authentication, which is off on both sides; its log goes to /dev/null, which
// flatters it. The load generator is this program again in a process of its own; it
// speaks HTTP/1.1 by hand, so that the two cores go to the registry. The figures are
// medians; the ratios are what to compare.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "registrybench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "load" {
		return loadMain(ctx, os.Args[2:])
	}
	return benchMain(ctx)
}

type settings struct {
	regctl, debian string
	dir            string
	only           string
	rounds         int
	span           time.Duration
}

func benchMain(ctx context.Context) error {
	var s settings
	flag.StringVar(&s.regctl, "regctl", "", "the executable to measure (default: build ./cmd/regctl, static and stripped)")
	flag.StringVar(&s.debian, "docker-registry", "docker-registry", "Debian's")
	flag.StringVar(&s.dir, "dir", "", "where to keep blobs (default: a temporary folder)")
	flag.IntVar(&s.rounds, "rounds", 7, "rounds of each measurement, interleaved")
	flag.StringVar(&s.only, "only", "", "measure just this: alone, manifest, blob, put, tls, auth or login")
	flag.DurationVar(&s.span, "span", 2*time.Second, "length of one manifest measurement")
	flag.Parse()

	debian, err := exec.LookPath(s.debian)
	if err != nil {
		return fmt.Errorf("%w: apt-get install docker-registry", err)
	}
	s.debian = debian
	dir, err := os.MkdirTemp(s.dir, "registrybench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.dir = dir
	if s.regctl == "" {
		s.regctl = filepath.Join(dir, "regctl")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", s.regctl, "./cmd/regctl")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return err
		}
	}
	if s.wants("alone") {
		if err := alone(ctx, s); err != nil {
			return err
		}
	}
	plain := []load{
		{name: "manifest GET, 32 connections", kind: "manifest", conns: 32, want: 5},
		{name: "blob GET 64 MB", kind: "blob", conns: 2, want: 1},
		{name: "blob PUT 64 MB", kind: "put", conns: 1, want: 1.7},
	}
	plain = slices.DeleteFunc(plain, func(l load) bool { return !s.wants(l.kind) })
	if err := compare(ctx, s, false, plain); err != nil {
		return err
	}
	if s.wants("auth") {
		if err := authenticated(ctx, s); err != nil {
			return err
		}
	}
	if s.wants("login") {
		if err := firstLogin(ctx, s); err != nil {
			return err
		}
	}
	if !s.wants("tls") {
		return nil
	}
	return compare(ctx, s, true, []load{{name: "blob GET 64 MB over TLS", kind: "blob", conns: 2, want: 1}})
}

func (s settings) wants(what string) bool { return s.only == "" || s.only == what }

// compare runs both registries side by side and loads one after the other.
func compare(ctx context.Context, s settings, tls bool, loads []load) error {
	if len(loads) == 0 {
		return nil
	}
	ours, err := start(ctx, s, "ours", tls)
	if err != nil {
		return err
	}
	defer ours.stop()
	theirs, err := start(ctx, s, "debian", tls)
	if err != nil {
		return err
	}
	defer theirs.stop()
	for _, r := range []*registry{ours, theirs} {
		if err := fill(ctx, r); err != nil {
			return err
		}
	}
	for _, l := range loads {
		var a, b []float64
		for i := range s.rounds + 1 {
			pair := []*registry{ours, theirs}
			if i%2 == 1 {
				slices.Reverse(pair)
			}
			for _, r := range pair {
				n, err := runLoad(ctx, s, r, l, i)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", r.name, l.name, err)
				}
				if i == 0 {
					continue // warming up
				}
				if r == ours {
					a = append(a, n)
				} else {
					b = append(b, n)
				}
			}
		}
		report(l.name, a, b, l.unit(), l.want)
	}
	return nil
}

// report prints medians and the median of the ratios of each round.
func report(name string, ours, theirs []float64, unit string, want float64) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	fmt.Printf("%-30s ours %9.1f  debian %9.1f %s   ratio %.2f (%.2f to %.2f), want >= %.1f: %s\n", name,
		median(ours), median(theirs), unit, median(ratios), slices.Min(ratios), slices.Max(ratios), want, verdict(median(ratios) >= want))
}

func verdict(kept bool) string {
	if kept {
		return "ok"
	}
	return "MISSED"
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
