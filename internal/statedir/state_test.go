package statedir

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step/steptest"
)

func TestStateComesBack(t *testing.T) {
	d := Dir(t.TempDir())
	if s, err := LoadState(d); err != nil || s.Phase != "" {
		t.Errorf("where there is none: %+v, %v", s, err)
	}
	want := State{
		SchemaVersion: StateVersion, Name: "registry", Phase: PhaseReady, Runtime: "docker",
		Image: "regctl:1", UID: 65532, GID: 65532, Made: []string{"/a", "/a/b"},
		CreatedAt: time.Unix(10, 0).UTC(), LastApplied: time.Unix(20, 0).UTC(), Batch: "x",
		Receipts: []host.Receipt{{
			Host: "local", Ref: host.Ref{Kind: host.File, Path: "/etc/x"}, Action: host.Change,
			Before: host.Fact{Exists: true, Data: []byte{0, 0xff}, Mode: 0o644, UID: 1, GID: 2}, After: "sha256:2", Changed: true,
		}},
	}
	must(t, Save(d, want))
	got, err := LoadState(d)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("saved\n%+v\nloaded\n%+v, %v", want, got, err)
	}
	info, err := os.Stat(d.State())
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
}

func TestLoadStateRefuses(t *testing.T) {
	for data, want := range map[string]string{
		`{"schemaVersion":3,"phase":{}}`:     " has schema version 3, and this regctl knows 2",
		`{"schemaVersion":1,"phase":"ready"`: " is damaged: unexpected end of JSON input",
		``:                                   " is damaged: unexpected end of JSON input",
		`{"schemaVersion":1,"phase":3}`:      " is damaged: json: cannot unmarshal number into Go struct field State.phase of type statedir.Phase",
		`{"phase":"ready"}`:                  " is damaged: it has no schemaVersion and phase",
	} {
		d := Dir(t.TempDir())
		must(t, os.WriteFile(d.State(), []byte(data), 0o600))
		_, err := LoadState(d)
		if err == nil || err.Error() != d.State()+want || fault.Hint(err) == "" {
			t.Errorf("%s: %v, hint %q", data, err, fault.Hint(err))
		}
	}
}

func TestClaimKeepsWhatIsThere(t *testing.T) {
	base := t.TempDir()
	foreign := Dir(filepath.Join(base, "foreign"))
	must(t, os.Mkdir(string(foreign), 0o755))
	must(t, os.WriteFile(foreign.Join("photo.jpg"), nil, 0o644))
	dangling := Dir(filepath.Join(base, "dangling"))
	must(t, os.Symlink("nowhere", string(dangling)))
	before := steptest.Tree(t, base)
	for d, want := range map[Dir]string{foreign: "photo.jpg", dangling: "leads nowhere", Dir(dangling.Join("registry")): dangling.Join() + " is a symlink"} {
		_, err := Claim(t.Context(), d, "registry", time.Second, "regctl init")
		if err == nil || !fault.IsUsage(err) || fault.Hint(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", d, err)
		}
	}
	if after := steptest.Tree(t, base); after != before {
		t.Errorf("now it is\n%s\nit was\n%s", after, before)
	}
}

func claim(t *testing.T, d Dir) *Lock {
	t.Helper()
	lock, err := Claim(t.Context(), d, filepath.Base(string(d)), 5*time.Second, "regctl init")
	must(t, err)
	return lock
}

// held claims d until the test ends.
func held(t *testing.T, d Dir) {
	t.Helper()
	lock := claim(t, d)
	t.Cleanup(func() { must(t, lock.Release()) })
}

// A directory of the operator's stays; one of ours goes with the parents made for
// it, with the last registry in them.
func TestErase(t *testing.T) {
	base := t.TempDir()
	own := Dir(filepath.Join(base, "own"))
	must(t, os.Mkdir(string(own), 0o755))
	before := steptest.Tree(t, base)

	one, two := Dir(filepath.Join(base, "lib", "regctl", "one")), Dir(filepath.Join(base, "lib", "regctl", "two"))
	locks := map[Dir]*Lock{own: claim(t, own), one: claim(t, one), two: claim(t, two)}
	if s, err := LoadState(one); err != nil || len(s.Made) != 3 {
		t.Errorf("made %q, %v", s.Made, err)
	}
	if info, err := os.Stat(string(one)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, d := range []Dir{own, one, two} {
		if left, err := Erase(d, locks[d]); err != nil || left != nil {
			t.Errorf("%s: left %q, %v", d, left, err)
		}
	}
	if after := steptest.Tree(t, base); after != before {
		t.Errorf("now it is\n%s\nit was\n%s", after, before)
	}
}

func TestEraseLeavesWhatIsNotOurs(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	lock := claim(t, d)
	must(t, os.WriteFile(d.Join("photo.jpg"), nil, 0o644))
	left, err := Erase(d, lock)
	if err != nil || !reflect.DeepEqual(left, []string{string(d)}) {
		t.Errorf("left %q, %v", left, err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A state of the schema before is written back as such, for those who know no other.
func TestOlderStateStays(t *testing.T) {
	d := Dir(t.TempDir())
	must(t, os.WriteFile(d.State(), []byte(`{"schemaVersion":1,"phase":"ready","image":"regctl:1"}`), 0o600))
	s, err := LoadState(d)
	must(t, err)
	s.Engine = "unix:///x"
	must(t, Save(d, s))
	if s, err = LoadState(d); err != nil || s.SchemaVersion != 1 || s.Engine == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// What an upgrade did is kept apart as well, whether its journal was ended or recovered.
func TestUpgradeKeepsItsReceipts(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "registry"))
	held(t, d)
	s, err := LoadState(d)
	must(t, err)
	s.Upgrade = &Upgrade{}
	must(t, Save(d, s))
	write := func(name, data string) host.Op {
		uid, gid := self()
		return host.Op{
			Ref: host.Ref{Kind: host.File, Path: d.Join(name)}, Action: host.Change, Before: host.AnyBefore,
			Want: host.Fact{Exists: true, Data: []byte(data), Mode: 0o600, UID: uid, GID: gid},
		}
	}
	h := host.NewLocal(nil)
	for i, name := range []string{"committed", "killed", "of another command"} {
		j := &Journal{Dir: d, State: &s, Upgrade: i < 2}
		op := write(name, "new")
		must(t, j.Begin([]host.Op{op}, host.Facts{}))
		if i > 0 {
			_, err := Recover(t.Context(), d, h)
			must(t, err)
			s, err = LoadState(d)
			must(t, err)
			continue
		}
		receipts, err := h.Do(t.Context(), []host.Op{op})
		must(t, err)
		must(t, j.Commit(receipts))
	}
	var names []string
	for _, r := range s.Upgrade.Receipts {
		names = append(names, filepath.Base(r.Path))
	}
	if got := strings.Join(names, " "); got != "committed killed" || len(s.Receipts) != 3 {
		t.Errorf("kept %q, and %d in all", got, len(s.Receipts))
	}
}
