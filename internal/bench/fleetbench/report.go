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
	fmt.Printf("%-28s %11s %11s %11s   %s\n", "", "", "CPU a host:", "", "regctl takes so many")
	fmt.Printf("%-28s %11s %11s %11s   %s\n", "", "wall", "client", "sshd's", "times as long")
	for _, r := range rows {
		var walls, cpus, theirs []time.Duration
		for _, c := range r.costs {
			walls, cpus = append(walls, c.wall), append(cpus, c.cpu/time.Duration(b.hosts))
			theirs = append(theirs, c.hosts/time.Duration(b.hosts))
		}
		fmt.Printf("%-28s %8.0f ms %8.2f ms %8.1f ms", r.name, ms(median(walls)), ms(median(cpus)), ms(median(theirs)))
		if r.name == ours {
			fmt.Printf("   CPU limit %.0f ms: %s\n", ms(cpuLimit), verdict(median(cpus) <= cpuLimit))
			continue
		}
		fmt.Println("   " + ratio(rows[0], r))
	}
}

// ratio compares regctl with a row, for its own second run the other way round.
func ratio(first, r *row) string {
	var ratios []float64
	for i, c := range r.costs {
		one, other := first.costs[i].wall, c.wall
		if strings.HasPrefix(r.name, ours) {
			one, other = other, one
		}
		ratios = append(ratios, float64(one)/float64(other))
	}
	text := fmt.Sprintf("%.3f (%.3f to %.3f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
	if limit, ok := limits()[r.name]; ok {
		text += fmt.Sprintf(", limit %.3f: %s", limit, verdict(median(ratios) <= limit))
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
