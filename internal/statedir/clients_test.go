package statedir

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

func TestClientComesBack(t *testing.T) {
	d := Dir(t.TempDir())
	if _, ok, err := LoadClient(d, "a"); ok || err != nil {
		t.Errorf("where there is none: %v, %v", ok, err)
	}
	if all, err := LoadClients(d); len(all) != 0 || err != nil {
		t.Errorf("where there are none: %v, %v", all, err)
	}
	verified := true
	want := Client{
		SchemaVersion: ClientVersion, Key: "root@a.lan:2222", Host: "root@A.lan:2222", Run: "R", Status: ClientChanged,
		Stores: []ClientStore{{
			Store: "docker", Path: "/etc/docker/certs.d/registry.test:5000/ca.crt", Pending: "restart dockerd", Since: time.Unix(10, 0).UTC(),
		}},
		Verified: &verified, VerifiedBy: "docker pull", LastSeen: time.Unix(20, 0).UTC(), LastTried: time.Unix(30, 0).UTC(),
	}
	must(t, SaveClient(d, want))
	if got, ok, err := LoadClient(d, want.Key); !ok || err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("saved\n%+v\nloaded\n%+v, %v, %v", want, got, ok, err)
	}
	for path, mode := range map[string]os.FileMode{d.Clients(): 0o700 | os.ModeDir, filepath.Join(d.Clients(), "root@a.lan%3a2222.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if all, err := LoadClients(d); err != nil || len(all) != 1 || !all[0].Trusts() || (Client{}).Trusts() {
		t.Errorf("%v, %v", all, err)
	}
}

func TestClientFile(t *testing.T) {
	seen := map[string]string{}
	for key, want := range map[string]string{
		"web1.lan":               "web1.lan.json",
		"root@a:2222":            "root@a%3a2222.json",
		"Root@a":                 "%52oot@a.json",
		"[fe80::1%eth0]:22":      "%5bfe80%3a%3a1%25eth0%5d%3a22.json",
		"../../etc/passwd":       "%2e.%2f..%2fetc%2fpasswd.json",
		".run":                   "%2erun.json",
		`CORP\ann@h`:             "%43%4f%52%50%5cann@h.json",
		strings.Repeat("a", 300): "",
		strings.Repeat("a", 301): "",
		"bücher.example":         "b%c3%bccher.example.json",
		strings.Repeat("ü", 100): "",
		strings.Repeat("a", 180): strings.Repeat("a", 180) + ".json",
		strings.Repeat("a~", 2):  "a%7ea%7e.json",
	} {
		got := clientFile(key)
		if want != "" && got != want || len(got) > 225 || got != filepath.Base(got) || !isClientFile(got) {
			t.Errorf("%s: %s", key, got)
		}
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s are both %s", key, other, got)
		}
		seen[got] = key
	}
}

func TestLoadClientsRefuses(t *testing.T) {
	for data, want := range map[string]string{
		`{`:                   "a.json is damaged: unexpected end",
		`{"key":"a"}`:         "a.json is damaged: it has no schemaVersion",
		`{"schemaVersion":2}`: "a.json has schema version 2, and this regctl knows 1",
	} {
		d := Dir(t.TempDir())
		must(t, os.Mkdir(d.Clients(), 0o700))
		must(t, os.WriteFile(filepath.Join(d.Clients(), "a.json"), []byte(data), 0o600))
		if _, err := LoadClients(d); err == nil || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestSaveClientsAtOnce(t *testing.T) {
	d := Dir(t.TempDir())
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			key := fmt.Sprintf("node%02d", i)
			if err := SaveClient(d, Client{Key: key, Host: key}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	clients, err := LoadClients(d)
	if err != nil || len(clients) != 50 || clients[49].Key != "node49" {
		t.Errorf("%d, %v", len(clients), err)
	}
}

// save is a host's word after a run.
func (r ClientRun) save(t *testing.T, d Dir, host string, status ClientStatus, stores ...ClientStore) {
	t.Helper()
	must(t, SaveClient(d, Client{Key: strings.ToLower(host), Host: host, Run: r.ID, Status: status, Stores: stores}))
}

func unfinishedHosts(t *testing.T, d Dir) []string {
	t.Helper()
	run, _, err := LastClientRun(d)
	must(t, err)
	clients, err := LoadClients(d)
	must(t, err)
	return run.Unfinished(clients)
}

func wantHosts(t *testing.T, what string, got []string, want string) {
	t.Helper()
	if strings.Join(got, " ") != want {
		t.Errorf("%s: %v, want %s", what, got, want)
	}
}

func mayTrust(t *testing.T, d Dir) []string {
	t.Helper()
	hosts, err := MayTrust(d)
	must(t, err)
	return hosts
}

func TestClientRuns(t *testing.T) {
	d := Dir(t.TempDir())
	docker := ClientStore{Store: "docker", Path: "/etc/docker"}
	if _, ok, err := LastClientRun(d); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	// Killed when a had ended and b might have begun.
	first, err := BeginClientRun(d, []string{"A", "b", "c", "d"}, map[string][]string{"store": {"docker"}})
	must(t, err)
	first.save(t, d, "A", ClientChanged, docker)
	first.save(t, d, "c", ClientFailed)
	first.save(t, d, "d", ClientNotReached)
	wantHosts(t, "to retry", unfinishedHosts(t, d), "b c d")
	wantHosts(t, "may trust", mayTrust(t, d), "A b")
	// Another run, over others, does not forget b.
	temp := filepath.Join(d.Clients(), ".regctl-1-0000000a.tmp")
	must(t, os.WriteFile(temp, nil, 0o600))
	second, err := BeginClientRun(d, []string{"e"}, nil)
	if _, err := os.Stat(temp); !os.IsNotExist(err) {
		t.Errorf("what a killed run was writing is left: %v", err)
	}
	must(t, err)
	second.save(t, d, "e", ClientUnchanged, docker)
	wantHosts(t, "to retry", unfinishedHosts(t, d), "")
	wantHosts(t, "may trust", mayTrust(t, d), "A e b")
	third, err := BeginClientRun(d, []string{"A"}, nil)
	must(t, err)
	wantHosts(t, "lost", third.Lost, "b")
	third.save(t, d, "A", ClientChanged)
	must(t, TidyClients(d))
	wantHosts(t, "may trust", mayTrust(t, d), "e b")
	// All undone: nothing is left but what failed before it had placed anything.
	fourth, err := BeginClientRun(d, mayTrust(t, d), nil)
	must(t, err)
	fourth.save(t, d, "e", ClientChanged)
	must(t, TidyClients(d))
	wantHosts(t, "to retry", unfinishedHosts(t, d), "b")
	fourth.save(t, d, "b", ClientUnchanged)
	must(t, TidyClients(d))
	wantHosts(t, "may trust", mayTrust(t, d), "")
	fifth, err := BeginClientRun(d, []string{"c", "d"}, nil)
	must(t, err)
	fifth.save(t, d, "c", ClientChanged)
	fifth.save(t, d, "d", ClientUnchanged)
	must(t, TidyClients(d))
	must(t, TidyClients(d))
	if _, err := os.Stat(d.Clients()); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestRunComesBack(t *testing.T) {
	d := Dir(t.TempDir())
	want, err := BeginClientRun(d, []string{"a", "b"}, map[string][]string{"store": {"docker", "os"}})
	must(t, err)
	got, ok, err := LastClientRun(d)
	if !ok || err != nil || !reflect.DeepEqual(got, want) || want.ID == "" || time.Since(want.Started) > time.Hour {
		t.Errorf("%+v, %v, %v; want %+v", got, ok, err, want)
	}
	if clients, err := LoadClients(d); err != nil || len(clients) != 0 {
		t.Errorf("the run is taken for a client: %v, %v", clients, err)
	}
}

func TestForgetClientsLeavesOthersFiles(t *testing.T) {
	d := Dir(t.TempDir())
	must(t, ForgetClients(d))
	run, err := BeginClientRun(d, []string{"a"}, nil)
	must(t, err)
	run.save(t, d, "a", ClientFailed)
	must(t, os.WriteFile(filepath.Join(d.Clients(), ".regctl-1-0000000a.tmp"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(d.Clients(), "notes.txt"), nil, 0o600))
	must(t, ForgetClients(d))
	entries, err := os.ReadDir(d.Clients())
	must(t, err)
	names := slices.Collect(func(yield func(string) bool) {
		for _, e := range entries {
			if !yield(e.Name()) {
				return
			}
		}
	})
	wantHosts(t, "left", names, "notes.txt")
	must(t, os.Remove(filepath.Join(d.Clients(), "notes.txt")))
	must(t, ForgetClients(d))
	if _, err := os.Stat(d.Clients()); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func BenchmarkSaveClient(b *testing.B) {
	d := Dir(b.TempDir())
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := SaveClient(d, Client{Key: fmt.Sprintf("node%d", i%50)}); err != nil {
				b.Error(err)
			}
		}
	})
}
