package fleet

import (
	"path"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

const limitHint = "a number takes the first so many; else name hosts of the list, as in --limit node1,node[3-5],*.lan"

// Limit picks hosts of a list that Expand returned, in its order: the first N for a
// number, else those that an entry of limit names, which may be a range or have * and
// ? in it. A name without user or port stands for the host with any. An entry that
// names none is a usage fault. An empty limit picks all.
func Limit(hosts []string, limit string) ([]string, error) {
	if strings.TrimSpace(limit) == "" {
		return hosts, nil
	}
	if n, err := strconv.Atoi(limit); err == nil {
		if n < 1 {
			return nil, fault.Usage(limitHint, "--limit %s leaves no hosts", limit)
		}
		return hosts[:min(n, len(hosts))], nil
	}
	picked := make([]bool, len(hosts))
	for _, entry := range split(limit) {
		err := expand(entry, func(pattern string) error {
			if !pick(hosts, picked, pattern) {
				return fault.Usage(limitHint, "--limit: none of the %d hosts is %q", len(hosts), pattern)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var some []string
	for i, host := range hosts {
		if picked[i] {
			some = append(some, host)
		}
	}
	return some, nil
}

func pick(hosts []string, picked []bool, pattern string) (some bool) {
	matches := func(s string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(s))
		return err == nil && ok
	}
	wanted, err := parse(pattern)
	named, bare := err == nil, err == nil && wanted.user == "" && wanted.port == ""
	for i, host := range hosts {
		t, err := parse(host)
		if err != nil {
			continue
		}
		if named && t.String() == wanted.String() || bare && t.host == wanted.host || !named && (matches(host) || matches(t.host)) {
			picked[i], some = true, true
		}
	}
	return some
}
