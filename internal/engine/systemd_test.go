package engine

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

// updateFiles is not named update: another file of this package may have that.
var updateFiles = flag.Bool("update-units", false, "write testdata/*.service and testdata/*.cron anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateFiles {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s (%v) differs from:\n%s", path, err, got)
	}
}

func render(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := Unit{
		Name: "registry", User: "65532:65532", Drain: 30 * time.Second,
		Data: []string{dir + "/logs", dir + "/data"},
		Process: Process{
			Exe:  dir + "/bin/regctl",
			Args: []string{"serve", dir + "/serve/config.yml", "--log-file", dir + "/logs/registry.log", "--user", "65532:65532"},
		},
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestUnitGolden(t *testing.T) {
	golden(t, "registry.service", render(t, "/var/lib/regctl/registry"))
	golden(t, "odd.service", render(t, `/home/jo/100% of $HOME`))
	if _, err := (Unit{Process: Process{Exe: "/it's/regctl"}}).Render(); !fault.IsUsage(err) {
		t.Errorf("a path that systemd refuses: %v", err)
	}
}

// The real systemd reads what we render; it need not be running for that.
func TestUnitVerify(t *testing.T) {
	testenv.Need(t, "systemd-analyze")
	for _, sub := range []string{"registry", `100% of $HOME; all`} {
		top := t.TempDir()
		dir := filepath.Join(top, sub)
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bin", "regctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(top, "regctl-registry.service")
		if err := os.WriteFile(unit, render(t, dir), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), "regctl-registry.service") {
			t.Errorf("%s: %v\n%s", sub, err, out)
		}
	}
}

// fakeSystemctl stands in for systemctl on PATH: it keeps a unit's state as files
// and writes down each call. What these tests show is our own logic, not systemd.
func fakeSystemctl(t *testing.T) (dir string, calls func() string) {
	t.Helper()
	dir = t.TempDir()
	script := `#!/bin/sh
cd "` + dir + `" || exit 1
shift 2
echo "$*" >>calls
case "$1" in
show) a=inactive; u=disabled; [ -e active ] && a=active; [ -e enabled ] && u=enabled
      echo "ActiveState=$a"; echo "UnitFileState=$u"; echo MainPID=4711 ;;
start|restart) if [ -e broken ]; then echo "Job for $2 failed." >&2; echo "See journalctl." >&2; exit 1; fi; touch active ;;
stop) rm -f active ;;
enable) touch enabled ;;
disable) rm -f enabled; [ "$2" = --now ] && rm -f active ;;
esac
exit 0
`
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	journal := "#!/bin/sh\n[ -e " + dir + "/said ] && cat " + dir + "/said\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(journal), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir, func() string {
		data, _ := os.ReadFile(filepath.Join(dir, "calls"))
		_ = os.Remove(filepath.Join(dir, "calls"))
		var acts []string
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "show ") {
				acts = append(acts, strings.ReplaceAll(line, "regctl-x.service", "X"))
			}
		}
		return strings.Join(acts, "; ")
	}
}

func TestSystemdLogic(t *testing.T) {
	testenv.Need(t, "sh")
	dir, calls := fakeSystemctl(t)
	path := filepath.Join(t.TempDir(), "regctl-x.service")
	one, two := []byte(unitMark+"one\n"), []byte(unitMark+"two\n")
	stopped := unitFact(unitState{Text: string(one), Enabled: true})
	steps := []struct {
		action host.Action
		want   host.Fact
		calls  string
	}{
		{host.Create, UnitFact(one), "daemon-reload; enable X; start X"},
		{host.Create, UnitFact(one), ""},
		{host.Change, UnitFact(two), "daemon-reload; restart X"},
		{host.Restart, UnitFact(two), "restart X"},
		{host.Change, UnitFact(one), "daemon-reload; restart X"},
		{host.Stop, host.Fact{}, "stop X"},
		{host.Change, UnitFact(one), "start X"},
		{host.Change, stopped, "stop X"},
		{host.Start, UnitFact(one), "start X"},
		{host.Remove, host.Fact{}, "disable --now X; daemon-reload; reset-failed X"},
		{host.Remove, host.Fact{}, ""},
	}
	for i, s := range steps {
		op := host.Op{Ref: host.Ref{Kind: KindUnit, Path: path}, Action: s.action, Want: s.want}
		after, err := Systemd{}.Do(t.Context(), op)
		if err != nil {
			t.Fatalf("%d %s: %v", i, s.action, err)
		}
		if got := calls(); got != s.calls {
			t.Errorf("%d %s: called %q, want %q", i, s.action, got, s.calls)
		}
		if s.action != host.Stop && after.Hash() != s.want.Hash() {
			t.Errorf("%d %s: left %s", i, s.action, after.Data)
		}
	}

	for file, text := range map[string]string{"broken": "", "said": "starting\nerror: port :5000 is held by pid 1 (x)\nhint: stop it\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Systemd{}.Do(t.Context(), host.Op{Ref: host.Ref{Kind: KindUnit, Path: path}, Action: host.Create, Want: UnitFact(one)})
	if err == nil || !strings.Contains(err.Error(), "port :5000 is held by pid 1 (x)") {
		t.Errorf("a unit that does not start: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it was left behind: %v", err)
	}
}

func TestForeignUnit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regctl-x.service")
	if err := os.WriteFile(path, []byte("[Unit]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	fact, err := Systemd{}.Look(t.Context(), path)
	if err != nil || fact.Foreign == "" {
		t.Errorf("%+v, %v", fact, err)
	}
	e := ensure{ref: host.Ref{Kind: KindUnit, Path: path}, want: UnitFact(nil)}
	if _, err := e.Plan(host.Facts{e.ref: fact}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("plan over somebody else's unit: %v", err)
	}
	var u unitState
	if json.Unmarshal(UnitFact([]byte("x")).Data, &u) != nil || !u.Enabled || !u.Active {
		t.Errorf("%+v", u)
	}
}
