package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/regctl/regctl/internal/host"
)

func TestBinary(t *testing.T) {
	dir := t.TempDir()
	source, path := filepath.Join(dir, "source"), filepath.Join(dir, "regctl")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want := func() host.Fact {
		t.Helper()
		fact, err := BinaryFact(source)
		if err != nil {
			t.Fatal(err)
		}
		return fact
	}
	b := Binary{Source: source}
	do := func(action host.Action, fact host.Fact) {
		t.Helper()
		op := host.Op{Ref: host.Ref{Kind: KindBinary, Path: path}, Action: action, Want: fact}
		after, err := b.Do(t.Context(), op)
		if err != nil {
			t.Fatal(err)
		}
		if action != host.Remove && after.Hash() != fact.Hash() {
			t.Errorf("after %s: %s, want %s", action, after.Data, fact.Data)
		}
	}
	content := func(text string) {
		t.Helper()
		if got, err := os.ReadFile(path); string(got) != text || err != nil {
			t.Errorf("copy holds %q, %v; want %q", got, err, text)
		}
	}

	write(source, "one")
	first := want()
	do(host.Create, first)
	content("one")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	before, _ := os.Stat(path)
	if linked, _ := os.Stat(source); os.SameFile(before, linked) {
		t.Error("it is a link")
	}
	do(host.Change, want())
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("copied again without need")
	}

	write(source, "two")
	do(host.Change, want())
	content("two")
	do(host.Change, first) // an undo, after the source has gone on
	content("one")
	do(host.Change, want()) // and back
	content("two")

	write(path, "tampered")
	if seen, err := b.Look(t.Context(), path); err != nil || seen.Hash() == want().Hash() {
		t.Errorf("a changed copy was not noticed: %v", err)
	}
	do(host.Change, want())
	content("two")

	write(source, "three, after the plan")
	op := host.Op{Ref: host.Ref{Kind: KindBinary, Path: path}, Action: host.Change, Want: binaryFact("0", 0, 0)}
	if _, err := b.Do(t.Context(), op); err == nil {
		t.Error("a source that changed was copied")
	}
	content("two")

	if err := os.Chmod(source, 0o755); err != nil {
		t.Fatal(err)
	}
	b.Link = true
	do(host.Change, want())
	content("three, after the plan")
	one, _ := os.Stat(path)
	if other, _ := os.Stat(source); !os.SameFile(one, other) {
		t.Error("it is no link")
	}
	do(host.Remove, host.Fact{})
	left, _ := filepath.Glob(filepath.Join(dir, "regctl*"))
	if len(left) > 0 {
		t.Errorf("remove left %v", left)
	}
	if fact, err := b.Look(t.Context(), path); fact.Exists || err != nil {
		t.Errorf("after remove: %v, %v", fact, err)
	}
}
