package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite the list in docs/conformance.md")

const (
	docPath = "../../docs/conformance.md"
	begin   = "<!-- begin: kept by go test ./internal/conformance -update -->\n"
	end     = "<!-- end -->\n"
)

// TestConformance holds the embedded registry to what distribution's own registry
// of the same version passes, and docs/conformance.md to what ours fails.
func TestConformance(t *testing.T) {
	testenv.Need(t, "go")
	if theirs, ours := version(t, toolsMod, distribution), version(t, mainMod, distribution); theirs != ours {
		t.Fatalf("%s has distribution %s, go.mod has %s", toolsMod, theirs, ours)
	}
	suite := build(t, suiteModule)
	theirs := run(t, suite, startDistribution(t, build(t, distribution+"/cmd/registry")))
	ours := run(t, suite, startEmbedded(t))

	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if got, want := ours[name].passed, theirs[name].passed; got < want {
			t.Errorf("%s: passed %d times, distribution passes %d times", name, got, want)
		}
	}
	checkDoc(t, list(t, ours))
}

// list is the generated part of docs/conformance.md.
func list(t *testing.T, r results) string {
	t.Helper()
	var b strings.Builder
	passed, failed, skipped := 0, 0, 0
	for _, c := range r {
		passed, failed, skipped = passed+c.passed, failed+c.failed, skipped+c.skipped
	}
	fmt.Fprintf(&b, "Suite %s, distribution %s: %d passed, %d failed, %d skipped.\n",
		version(t, toolsMod, suiteModule), version(t, toolsMod, distribution), passed, failed, skipped)
	section := func(title string, n func(count) int) {
		fmt.Fprintf(&b, "\n%s:\n\n", title)
		for _, name := range slices.Sorted(maps.Keys(r)) {
			switch c := r[name]; {
			case n(c) == 0:
			case c.total() == 1:
				fmt.Fprintf(&b, "- `%s`\n", name)
			default:
				fmt.Fprintf(&b, "- `%s` (%d of %d)\n", name, n(c), c.total())
			}
		}
	}
	section("Failed", func(c count) int { return c.failed })
	section("Skipped by the suite, as the specification lets a registry do without", func(c count) int { return c.skipped })
	return b.String()
}

func checkDoc(t *testing.T, want string) {
	t.Helper()
	doc, err := os.ReadFile(filepath.FromSlash(docPath))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := bytes.Cut(doc, []byte(begin))
	got, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s lacks the markers %q and %q", docPath, begin, end)
	}
	if string(got) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date (-update rewrites it); the list is now:\n%s", docPath, want)
	}
	doc = slices.Concat(head, []byte(begin), []byte(want), []byte(end), tail)
	if err := os.WriteFile(docPath, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}
