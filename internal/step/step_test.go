package step_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/host/hosttest"
	"github.com/regctl/regctl/internal/step"
)

// fixed is a step whose change does not depend on what is seen.
type fixed struct {
	name   string
	change step.Change
}

func (f fixed) Name() string { return f.name }
func (f fixed) Reads() []host.Ref {
	var refs []host.Ref
	for _, op := range f.change.Ops {
		refs = append(refs, op.Ref)
	}
	return refs
}
func (f fixed) Plan(host.Facts) (step.Change, error) { return f.change, nil }

func ref(kind, path string) host.Ref { return host.Ref{Kind: host.Kind(kind), Path: path} }

func op(kind, path string, action host.Action, onlyIf ...host.Ref) host.Op {
	return host.Op{Ref: ref(kind, path), Action: action, Before: host.AnyBefore, OnlyIf: onlyIf}
}

func TestPlanLeavesOutWhatHangsOnNothing(t *testing.T) {
	config, container := ref("file", "/config"), ref("container", "r")
	restart := fixed{"restart", step.Change{
		Items: []step.Item{{Target: "container r", Action: host.Restart, OnlyIf: []host.Ref{config}}},
		Ops:   []host.Op{op("container", "r", host.Restart, config)},
	}}
	wait := fixed{"wait", step.Change{Ops: []host.Op{op("http", "r", host.Wait, container)}}}
	write := fixed{"config", step.Change{Ops: []host.Op{op("file", "/config", host.Change)}}}
	made := fixed{"config", step.Change{
		Items: []step.Item{{Target: "/config", Action: host.Create}},
		Make: func(context.Context) ([]host.Op, error) {
			return []host.Op{op("file", "/config", host.Create)}, nil
		},
	}}
	other := fixed{"other", step.Change{Ops: []host.Op{op("file", "/other", host.Change)}}}

	tests := []struct {
		name  string
		steps []step.Step
		want  string
	}{
		{"nothing changes", []step.Step{restart, wait}, ""},
		{"something else changes", []step.Step{other, restart, wait}, "other"},
		{"it changes", []step.Step{write, restart, wait}, "config restart wait"},
		{"it changes later in the list", []step.Step{wait, restart, write}, "wait restart config"},
		{"it is made", []step.Step{made, restart, wait}, "config restart wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			planned, err := step.Plan(t.Context(), hosttest.Host{}, tt.steps)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range planned.Changes {
				names = append(names, c.Step)
			}
			if got := strings.Join(names, " "); got != tt.want || planned.Empty() != (tt.want == "") {
				t.Errorf("the plan has %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlanLooksOnce(t *testing.T) {
	looks := 0
	h := hosttest.Host{LookFunc: func(_ context.Context, refs []host.Ref) (host.Facts, error) {
		looks++
		if len(refs) != 2 {
			t.Errorf("asked for %v", refs)
		}
		return host.Facts{}, nil
	}}
	_, err := step.Plan(t.Context(), h, []step.Step{step.WriteFile{Path: "/a"}, step.MakeDir{Path: "/b"}})
	if err != nil || looks != 1 {
		t.Errorf("%d looks, %v", looks, err)
	}
}

func TestPlanRefusesWhatIsForeign(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	mustDo(t, os.Mkdir(taken, 0o755))
	mustDo(t, os.Symlink(taken, filepath.Join(dir, "link")))
	file(t, filepath.Join(dir, "file"), "x", 0o600)
	for want, s := range map[string]step.Step{
		taken + " is a directory, not a file":       step.WriteFile{Path: taken},
		dir + "/link is a symlink, not a directory": step.MakeDir{Path: dir + "/link"},
		dir + "/link is a symlink, not a file":      step.RemoveFile{Path: dir + "/link"},
		dir + "/file is a file, not a symlink":      step.MakeLink{Path: dir + "/file", Target: "x"},
		dir + "/file is a file, not a directory":    step.MakeDir{Path: dir + "/file"},
	} {
		_, err := step.Plan(t.Context(), host.NewLocal(nil), []step.Step{s})
		var foreign *host.ForeignError
		if !errors.As(err, &foreign) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%T: %v, want %s", s, err, want)
		}
	}
}

// fakeJournal remembers the order of calls.
type fakeJournal struct {
	calls  []string
	before host.Facts
	ops    []host.Op
	done   []host.Receipt
	begin  error
}

func (j *fakeJournal) Begin(ops []host.Op, before host.Facts) error {
	j.calls, j.ops, j.before = append(j.calls, "begin"), ops, before
	return j.begin
}

func (j *fakeJournal) Commit(receipts []host.Receipt) error {
	j.calls, j.done = append(j.calls, "commit"), receipts
	return nil
}

func TestRunJournalsBeforeItActs(t *testing.T) {
	var j fakeJournal
	made := 0
	h := hosttest.Host{
		LookFunc: func(_ context.Context, refs []host.Ref) (host.Facts, error) {
			facts := host.Facts{}
			for _, r := range refs {
				facts[r] = host.Fact{Exists: true, Data: []byte(r.Path)}
			}
			return facts, nil
		},
		DoFunc: func(_ context.Context, ops []host.Op) ([]host.Receipt, error) {
			j.calls = append(j.calls, "do")
			return []host.Receipt{{Ref: ops[0].Ref, Changed: true}}, errors.New("the second op fails")
		},
	}
	planned, err := step.Plan(t.Context(), h, []step.Step{
		fixed{"a", step.Change{Ops: []host.Op{op("file", "/a", host.Change)}}},
		fixed{"b", step.Change{Make: func(context.Context) ([]host.Op, error) {
			made++
			return []host.Op{op("file", "/b", host.Create)}, nil
		}}},
	})
	if err != nil || made != 0 {
		t.Fatalf("plan: %v; made %d values", err, made)
	}
	receipts, err := step.Run(t.Context(), h, planned, &j)
	if err == nil || err.Error() != "the second op fails" {
		t.Errorf("run: %v", err)
	}
	if got := strings.Join(j.calls, " "); got != "begin do commit" || made != 1 {
		t.Errorf("calls: %s; made %d values", got, made)
	}
	if len(receipts) != 1 || len(j.done) != 1 || len(j.ops) != 2 {
		t.Errorf("receipts %v, committed %v, ops %v", receipts, j.done, j.ops)
	}
	if got := string(j.before[ref("file", "/b")].Data); got != "/b" {
		t.Errorf("the original of what no step had read is %q", got)
	}
}

func TestRunDoesNothingWithoutAJournal(t *testing.T) {
	h := hosttest.Host{DoFunc: func(context.Context, []host.Op) ([]host.Receipt, error) {
		t.Error("an op was carried out")
		return nil, nil
	}}
	planned := step.Planned{Changes: []step.Named{{Step: "a", Change: step.Change{Ops: []host.Op{op("file", "/a", host.Change)}}}}}
	if _, err := step.Run(t.Context(), h, planned, &fakeJournal{begin: errors.New("disk full")}); err == nil {
		t.Error("no error")
	}
}

func TestUndoOrder(t *testing.T) {
	there := host.Fact{Exists: true, Data: []byte("was")}
	receipt := func(kind, path string, action host.Action, before host.Fact) host.Receipt {
		return host.Receipt{Ref: ref(kind, path), Action: action, Before: before, Changed: true}
	}
	unchanged := receipt("file", "/unchanged", host.Create, host.Fact{})
	unchanged.Changed = false
	receipts := []host.Receipt{
		receipt("file", "/made", host.Create, host.Fact{}),
		receipt("file", "/replaced", host.Create, there), // made without looking
		receipt("file", "/changed", host.Change, there),
		receipt("file", "/removed", host.Remove, there),
		receipt("container", "old", host.Restart, there),
		receipt("container", "new", host.Create, host.Fact{}),
		receipt("container", "new", host.Restart, there),
		receipt("process", "p", host.Start, host.Fact{}),
		receipt("process", "q", host.Stop, there),
		receipt("http", "w", host.Wait, host.Fact{}),
		unchanged,
	}
	var done []string
	h := hosttest.Host{DoFunc: func(_ context.Context, ops []host.Op) ([]host.Receipt, error) {
		for i, o := range ops {
			done = append(done, string(o.Action)+" "+o.Path)
			if o.Want.Exists && string(o.Want.Data) != "was" || o.Before != host.AnyBefore {
				t.Errorf("op %+v", o)
			}
			if o.Path == "/changed" || o.Path == "/made" {
				return nil, &host.OpError{Index: i, Ref: o.Ref, Err: errors.New(o.Path + " will not go back")}
			}
		}
		return nil, nil
	}}
	err := step.Undo(t.Context(), h, receipts)
	if err == nil || !strings.Contains(err.Error(), "/changed will") || !strings.Contains(err.Error(), "/made will") {
		t.Errorf("undo: %v", err)
	}
	want := []string{
		"start q", "stop p", "remove new", "create /removed", "change /changed", "change /replaced", "remove /made", "restart old",
	}
	if !reflect.DeepEqual(done, want) {
		t.Errorf("undone\n%q\nwant\n%q", done, want)
	}
}

func TestUndoLeavesADirectoryThatHoldsSomething(t *testing.T) {
	root := t.TempDir()
	h := host.NewLocal(nil)
	dir := filepath.Join(root, "d")
	planned, err := step.Plan(t.Context(), h, []step.Step{
		step.MakeDir{Path: dir, Mode: 0o700, UID: os.Geteuid(), GID: os.Getegid()},
	})
	mustDo(t, err)
	receipts, err := step.Run(t.Context(), h, planned, &fakeJournal{})
	mustDo(t, err)
	file(t, filepath.Join(dir, "theirs"), "x", 0o600)
	mustDo(t, step.Undo(t.Context(), h, receipts))
	left, err := step.Left(t.Context(), h, receipts)
	if err != nil || !reflect.DeepEqual(left, []string{dir}) {
		t.Errorf("left %q, %v", left, err)
	}
	mustDo(t, os.Remove(filepath.Join(dir, "theirs")))
	mustDo(t, step.Undo(t.Context(), h, receipts))
	if left, err = step.Left(t.Context(), h, receipts); err != nil || left != nil {
		t.Errorf("left %q, %v", left, err)
	}
}

func TestMerge(t *testing.T) {
	fact := func(data string) host.Fact { return host.Fact{Exists: data != "", Data: []byte(data)} }
	receipt := func(action host.Action, before, after string) host.Receipt {
		return host.Receipt{Ref: ref("x", "one"), Action: action, Before: fact(before), After: fact(after).Hash(), Changed: true}
	}
	unchanged := receipt(host.Change, "a", "b")
	unchanged.Changed = false
	tests := []struct {
		name       string
		old, later []host.Receipt
		want       []host.Receipt
	}{
		{"first", nil, []host.Receipt{receipt(host.Create, "", "a")}, []host.Receipt{receipt(host.Create, "", "a")}},
		{
			"changed after it was made",
			[]host.Receipt{receipt(host.Create, "", "a")},
			[]host.Receipt{receipt(host.Change, "a", "b")},
			[]host.Receipt{receipt(host.Create, "", "b")},
		},
		{
			"changed twice",
			[]host.Receipt{receipt(host.Change, "a", "b")},
			[]host.Receipt{receipt(host.Change, "b", "c")},
			[]host.Receipt{receipt(host.Change, "a", "c")},
		},
		{"changed and back", []host.Receipt{receipt(host.Change, "a", "b")}, []host.Receipt{receipt(host.Change, "b", "a")}, nil},
		{"made and removed", []host.Receipt{receipt(host.Create, "", "b")}, []host.Receipt{receipt(host.Remove, "b", "")}, nil},
		{
			"removed and made anew",
			[]host.Receipt{receipt(host.Remove, "a", "")},
			[]host.Receipt{receipt(host.Create, "", "b")},
			[]host.Receipt{receipt(host.Change, "a", "b")},
		},
		{
			"changed and removed",
			[]host.Receipt{receipt(host.Change, "a", "b")},
			[]host.Receipt{receipt(host.Remove, "b", "")},
			[]host.Receipt{receipt(host.Remove, "a", "")},
		},
		{
			"started with other arguments",
			[]host.Receipt{receipt(host.Start, "", "a")},
			[]host.Receipt{receipt(host.Restart, "a", "b")},
			[]host.Receipt{receipt(host.Start, "", "b")},
		},
		{"started and stopped", []host.Receipt{receipt(host.Start, "", "a")}, []host.Receipt{receipt(host.Stop, "a", "")}, nil},
		{
			"made and stopped",
			[]host.Receipt{receipt(host.Create, "", "a")},
			[]host.Receipt{receipt(host.Stop, "a", "b")},
			[]host.Receipt{receipt(host.Create, "", "b")},
		},
		{
			"restarted",
			[]host.Receipt{receipt(host.Create, "", "a")},
			[]host.Receipt{receipt(host.Restart, "a", "a")},
			[]host.Receipt{receipt(host.Create, "", "a")},
		},
		{"restarted alone", nil, []host.Receipt{receipt(host.Restart, "a", "a")}, nil},
		{"waited", nil, []host.Receipt{receipt(host.Wait, "", "a")}, nil},
		{"unchanged", nil, []host.Receipt{unchanged}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := step.Merge(tt.old, tt.later); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("merged\n%+v\nwant\n%+v", got, tt.want)
			}
		})
	}
}
