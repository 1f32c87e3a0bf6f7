package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// limits are the most that regctl may take, in parts of what another takes.
func limits() map[string]float64 {
	return map[string]float64{
		"loop of ssh and scp": 1.0 / 20, "Ansible, 50 forks": 1.0 / 18, "Go prototype": 1.25, ours + again: 1,
	}
}

// cpuLimit is the CPU that regctl may take for a host on the client.
const cpuLimit = 4 * time.Millisecond

// report prints medians, and the ratios of the same round to each other.
func (b *bench) report(rows []*row) {
	fmt.Printf("\none CA file on %d hosts, medians of %d rounds\n", b.hosts, b.rounds)
	fmt.Printf("%-28s %11s %11s %11s   %s\n", "", "", "CPU a host:", "", "regctl takes so many times as much")
	fmt.Printf("%-28s %11s %11s %11s   %s\n", "", "wall", "client", "sshd's", "CPU and as long")
	for _, r := range rows {
		var walls, cpus, theirs []time.Duration
		for _, c := range r.costs {
			walls, cpus = append(walls, c.wall), append(cpus, c.cpu/time.Duration(b.hosts))
			theirs = append(theirs, c.hosts/time.Duration(b.hosts))
		}
		fmt.Printf("%-28s %8.0f ms %8.2f ms %8s ms", r.name, ms(median(walls)), ms(median(cpus)), known(ms(median(theirs))))
		if r.name == ours {
			fmt.Printf("   CPU limit %.0f ms: %s\n", ms(cpuLimit), verdict(median(cpus) <= cpuLimit))
			continue
		}
		fmt.Println("   " + ratio(rows[0], r))
	}
}

// known leaves out what was not measured.
func known(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", n)
}

// ratio compares regctl with a row, for its own second run the other way round: by the
// CPU of both sides, which other load on the machine changes little, and by the clock.
func ratio(first, r *row) string {
	var walls, cpus []float64
	for i, other := range r.costs {
		one := first.costs[i]
		if strings.HasPrefix(r.name, ours) {
			one, other = other, one
		}
		walls = append(walls, float64(one.wall)/float64(other.wall))
		if one.hosts > 0 && other.hosts > 0 {
			cpus = append(cpus, float64(one.cpu+one.hosts)/float64(other.cpu+other.hosts))
		}
	}
	text := fmt.Sprintf("%5s  %.3f (%.3f to %.3f)", "-", median(walls), slices.Min(walls), slices.Max(walls))
	if len(cpus) > 0 {
		text = fmt.Sprintf("%5.2f%s", median(cpus), text[5:])
	}
	if limit, ok := limits()[r.name]; ok {
		text += fmt.Sprintf(", limit %.3f: %s", limit, verdict(median(walls) <= limit))
	}
	return text
}

func verdict(ok bool) string {
	if ok {
		return "kept"
	}
	return "MISSED"
}

func median[T cmp.Ordered](all []T) T {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
