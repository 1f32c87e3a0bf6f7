package scenario

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// described is a version of Semantic Versioning 2.0.0, with what git describe adds after
// a tag: commits since, and that the tree had changes.
var described = regexp.MustCompile(`^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+?))??(?:-(\d+)-g[0-9a-f]+)?(?:-dirty)?(?:\+.*)?$`)

// Older reports whether a is certainly older than b. Versions that say nothing of that,
// such as dev or a commit's hash, are not.
func Older(a, b string) bool {
	x, y := described.FindStringSubmatch(a), described.FindStringSubmatch(b)
	if x == nil || y == nil {
		return false
	}
	for i := 1; i <= 3; i++ {
		if c := compareNumbers(x[i], y[i]); c != 0 {
			return c < 0
		}
	}
	if c := comparePrereleases(x[4], y[4]); c != 0 {
		return c < 0
	}
	return compareNumbers(cmp.Or(x[5], "0"), cmp.Or(y[5], "0")) < 0
}

// comparePrereleases goes by rule 11 of Semantic Versioning: none is the latest.
func comparePrereleases(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(b), len(a))
	}
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		if c := compareNumbers(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// compareNumbers puts numbers before words, which are compared as such.
func compareNumbers(a, b string) int {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	switch {
	case errX == nil && errY == nil:
		return cmp.Compare(x, y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}
