package htpasswd

import "fmt"

// Problem is something in a file that does not do what it seems to.
type Problem struct {
	Line int
	Text string
	// Fatal is one for which a stock registry lets nobody in.
	Fatal bool
}

// Problems names lines that are no entries, names that are there twice and hashes
// that the registry lets nobody in by.
func (f *File) Problems() []Problem {
	var all []Problem
	seen := map[string]int{}
	for i, line := range f.lines {
		name, hash, ok := entry(line)
		switch {
		case !ok && !blank(trimmed(line)):
			all = append(all, Problem{i + 1, "no colon: neither a comment nor NAME:HASH", true})
			continue
		case !ok:
			continue
		case Cost(hash) > MaxCost:
			all = append(all, Problem{i + 1, fmt.Sprintf("user %s: a bcrypt cost of %d is more than this registry checks, which is %d", name, Cost(hash), MaxCost), false})
		case Cost(hash) == 0:
			all = append(all, Problem{i + 1, fmt.Sprintf("user %s: the hash is %s, and the registry takes bcrypt alone: every login of theirs is refused until `regctl user passwd %s`", name, Kind(hash), name), false})
		}
		if before := seen[name]; before > 0 {
			all = append(all, Problem{i + 1, fmt.Sprintf("user %s: is in line %d already; this line is the one that counts", name, before), false})
		}
		seen[name] = i + 1
	}
	return all
}
