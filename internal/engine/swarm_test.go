package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"github.com/regctl/regctl/internal/host"
)

func TestObjectName(t *testing.T) {
	key := ServedFile{Path: "tls/current/key", Data: []byte("a"), Secret: true}
	name := objectName("registry", key)
	if !strings.HasPrefix(name, "registry-tls-key-") || len(name) != len("registry-tls-key-")+sumRoom || objectName("registry", key) != name {
		t.Errorf("got %s", name)
	}
	other := key
	other.Data = []byte("b")
	if objectName("registry", other) == name || objectName("other", key)[len("other"):] == name[len("registry"):] {
		t.Error("other content, or another registry, has the same sum")
	}
	// The longest name of a registry, and what no name of a secret may hold.
	long := objectName(strings.Repeat("n", 48), ServedFile{Path: "a b/ü.yml"})
	if len(long) > nameRoom || noName.MatchString(long) {
		t.Errorf("got %s, of %d", long, len(long))
	}
}

// given is how a service refers to files that it was made with.
func given(files ...ServedFile) placed {
	var p placed
	for _, f := range files {
		f = served(f)
		name, target := objectName("registry", f), "/serve/"+f.Path
		if f.Secret {
			p.secrets = append(p.secrets, &swarm.SecretReference{SecretName: name, File: &swarm.SecretReferenceFileTarget{Name: target}})
		} else {
			p.configs = append(p.configs, &swarm.ConfigReference{ConfigName: name, File: &swarm.ConfigReferenceFileTarget{Name: target}})
		}
	}
	return p
}

func TestStale(t *testing.T) {
	crt, users := ServedFile{Path: "tls/current/crt", Data: []byte("1")}, ServedFile{Path: "htpasswd", Secret: true}
	newer := crt
	newer.Data = []byte("2")
	open := users
	open.Secret = false
	for name, tc := range map[string]struct {
		now  []ServedFile
		want string
	}{
		"as they were": {[]ServedFile{users, crt}, ""},
		"changed":      {[]ServedFile{newer, users}, "tls/current/crt"},
		"gone":         {[]ServedFile{crt}, "htpasswd"},
		"new":          {[]ServedFile{crt, users, {Path: "token.key", Secret: true}}, "token.key"},
		"another kind": {[]ServedFile{crt, open}, "htpasswd"},
	} {
		if got := strings.Join(stale(Service{Registry: "registry"}, given(crt, users), tc.now), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestServicePlan(t *testing.T) {
	want := Service{Name: "registry", Registry: "registry", Dir: "/d", Image: "regctl/registry:1", Replicas: 3, Port: 5000}
	other := want
	other.Image = "regctl/registry:2"
	files := []host.Ref{{Kind: host.File, Path: "/d/serve/config.yml"}}
	for name, tc := range map[string]struct {
		now    host.Fact
		action host.Action // of the op; "" is none
		says   string
		onlyIf int
	}{
		"absent":       {host.Fact{}, host.Create, `"replicas": 3`, 0},
		"leftover":     {serviceFact{Leftover: true}.fact(), host.Create, `"replicas": 3`, 0},
		"as wanted":    {serviceFact{Service: want, Running: true}.fact(), host.Restart, "one after the other", 1},
		"other image":  {serviceFact{Service: other, Running: true}.fact(), host.Restart, `+  "image": "regctl/registry:1"`, 0},
		"stale":        {serviceFact{Service: want, Running: true, Stale: []string{"htpasswd"}}.fact(), host.Restart, "another htpasswd than serve", 0},
		"stopped":      {serviceFact{Service: want}.fact(), host.Start, "it is stopped", 0},
		"somebody's":   {host.Fact{Exists: true, Foreign: "a service of theirs"}, "", "taken by a service of theirs", 0},
		"of another's": {host.Fact{Exists: true, Foreign: "the service of the registry in /e"}, "", "/e", 0},
	} {
		step := ServiceStep{Want: want, Files: files, Pause: "for a moment nobody answers"}
		change, err := step.Plan(host.Facts{step.ref(): tc.now})
		if tc.action == "" {
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || len(change.Ops) != 1 || len(change.Items) != 1 {
			t.Errorf("%s: %+v, %v", name, change, err)
			continue
		}
		op, item := change.Ops[0], change.Items[0]
		if op.Action != tc.action || !strings.Contains(item.Diff, tc.says) || len(op.OnlyIf) != tc.onlyIf || len(item.OnlyIf) != tc.onlyIf {
			t.Errorf("%s: %+v %+v", name, op, item)
		}
		if name == "stale" && !strings.Contains(item.Diff, "nobody answers") {
			t.Errorf("%s: it does not say what it costs: %s", name, item.Diff)
		}
	}
	stopped := ServiceStep{Want: want, Stopped: true}
	if change, err := stopped.Plan(host.Facts{stopped.ref(): serviceFact{Service: want}.fact()}); err != nil || !change.Empty() {
		t.Errorf("one that is to stay stopped: %+v, %v", change, err)
	}
}

// task is one of the service below, created at minute n.
func task(n, slot int, node string, desired, state swarm.TaskState, words string) swarm.Task {
	t := swarm.Task{ID: fmt.Sprint("t", n), Slot: slot, NodeID: node, DesiredState: desired, Status: swarm.TaskStatus{State: state, Err: words}}
	t.CreatedAt = time.Unix(int64(n)*60, 0)
	t.Spec.ContainerSpec = &swarm.ContainerSpec{Image: "sha256:new"}
	return t
}

func TestSlots(t *testing.T) {
	const run, shut = swarm.TaskStateRunning, swarm.TaskStateShutdown
	nodes := []SwarmNode{{ID: "1", Hostname: "n1", Addr: "10.0.0.1", Up: true, Self: true}, {ID: "2", Hostname: "n2", Addr: "10.0.0.2", Up: true}, {ID: "3", Hostname: "n3", Addr: "10.0.0.3"}}
	now := swarm.Service{}
	now.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Image: "sha256:new"}
	before := task(2, 2, "2", run, run, "")
	before.Spec.ContainerSpec = &swarm.ContainerSpec{Image: "sha256:old"}
	got := slots(now, []swarm.Task{
		task(1, 1, "1", shut, shut, ""), task(5, 1, "1", run, run, ""),
		before,
		task(3, 3, "3", run, run, ""),
		task(6, 4, "", run, swarm.TaskStatePending, "no suitable node"),
		task(7, 5, "2", run, swarm.TaskStateStarting, ""), task(6, 5, "2", shut, swarm.TaskStateRejected, "No such image"),
		task(1, 6, "2", shut, shut, ""),
	}, nodes)
	var lines []string
	for _, s := range got {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s current=%v failed=%v %s", s, s.State, s.Address(5000), s.current, s.failed, s.Error)))
	}
	want := []string{
		"task 1 on n1 running 127.0.0.1:5000 current=true failed=[]",
		"task 2 on n2 running 10.0.0.2:5000 current=false failed=[]",
		"task 3 on n3 orphaned 10.0.0.3:5000 current=true failed=[] the node is down",
		"task 4 pending :5000 current=true failed=[] no suitable node",
		"task 5 on n2 starting 10.0.0.2:5000 current=true failed=[t6] the one before: No such image",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	s := ServiceStatus{Tasks: got}
	s.judge(5)
	if s.State != "degraded" || !strings.HasPrefix(s.Detail, "2 of 5 tasks run; task 3 on n3 is orphaned: the node is down; ") {
		t.Errorf("%+v", s)
	}
	if ready := readyTasks(got); ready != 1 {
		t.Errorf("%d are ready", ready)
	}
}

// What failed before anybody waited does not count, nor does what swarm forgot.
func TestEndings(t *testing.T) {
	failing := func(ids ...string) []SwarmTask {
		return []SwarmTask{{Slot: 1, Node: "n1", State: "starting", failed: ids}}
	}
	var e *endings
	for _, ids := range [][]string{{"a", "b", "c"}, {"b", "c", "d"}, {"d", "e"}} {
		e = e.count(failing(ids...))
		if words := e.often(failing()); words != "" {
			t.Errorf("%v: %s", ids, words)
		}
	}
	e = e.count(failing("f"))
	if words := e.often([]SwarmTask{{Slot: 1, Node: "n1", State: "starting", Error: before + "no space"}}); words != "task 1 on n1 does not start: no space" {
		t.Error(words)
	}
	if words := e.often([]SwarmTask{{Slot: 1, State: "running"}}); words != "" {
		t.Errorf("one that runs: %s", words)
	}
}

func TestTakenBack(t *testing.T) {
	made := Service{Name: "registry", Registry: "registry", Image: "new"}
	old := made
	old.Image = "old"
	file := ServedFile{Path: "htpasswd", Data: []byte("1"), Secret: true}
	h := Rolls{Services: Services{Files: func() ([]ServedFile, error) { return []ServedFile{file}, nil }}}
	at := func(s Service, state swarm.UpdateState, files ...ServedFile) *foundService {
		f := &foundService{made: s}
		f.Spec.Name = "registry"
		f.UpdateStatus = &swarm.UpdateStatus{State: state, Message: "a task failed"}
		p := given(files...)
		f.Spec.TaskTemplate.ContainerSpec = &swarm.ContainerSpec{Configs: p.configs, Secrets: p.secrets}
		return f
	}
	for name, tc := range map[string]struct {
		now  *foundService
		want Rolled
		says string
	}{
		"well":                {at(made, swarm.UpdateStateUpdating, file), Rolled{Made: &made}, ""},
		"at it":               {at(old, swarm.UpdateStateRollbackStarted), Rolled{Made: &made}, ""},
		"taken back":          {at(old, swarm.UpdateStateRollbackCompleted, file), Rolled{Made: &made}, "took the update of service registry back: a task failed"},
		"its files only":      {at(made, swarm.UpdateStateRollbackCompleted), Rolled{Made: &made}, "took the update"},
		"a restart":           {at(made, swarm.UpdateStateRollbackCompleted, file), Rolled{Updated: true}, "took the update"},
		"long ago":            {at(made, swarm.UpdateStateRollbackCompleted, file), Rolled{Made: &made}, ""},
		"paused":              {at(made, swarm.UpdateStateRollbackPaused, file), Rolled{}, "took the update"},
		"changed by somebody": {at(old, swarm.UpdateStateCompleted, file), Rolled{Made: &made}, "somebody else changed"},
	} {
		got, err := h.takenBack(tc.now, tc.want)
		if err != nil || (got == "") != (tc.says == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
