package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

func renewed(dir string) RenewalOptions {
	return RenewalOptions{Name: "registry", Dir: statedir.Dir(dir), Seed: "registry.test", CronFile: true, Supervision: Supervision{Reboot: host.File}}
}

func TestRenewalUnitsGolden(t *testing.T) {
	for name, dir := range map[string]string{"registry": "/var/lib/regctl/registry", "odd": "/srv/100% of $HOME; x"} {
		fact, err := renewed(dir).timer()
		if err != nil {
			t.Fatal(err)
		}
		planned, err := (timerStep{TimerPath("registry"), fact}).Plan(host.Facts{})
		if err != nil || len(planned.Items) != 2 {
			t.Fatalf("%v, %v", planned.Items, err)
		}
		var text strings.Builder
		for _, item := range planned.Items {
			text.WriteString(item.Diff)
		}
		golden(t, name+".renew.diff", []byte(text.String()))
	}
	if _, err := renewed(`/srv/it's`).timer(); err == nil {
		t.Error("systemd takes no quote in the path of what it starts")
	}
}

// One way renews; what was made for another is taken away, and nothing that others made.
func TestRenewalSteps(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "regctl")
	if err := os.WriteFile(source, []byte("regctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	ways := map[string]Supervision{
		"timer registry-renew": {Systemd: true}, "file registry": {Reboot: host.File},
		"crontab registry-renew": {Reboot: KindCrontab}, "loop": {},
	}
	options := func(s Supervision) RenewalOptions {
		return RenewalOptions{Name: "registry", Dir: statedir.Dir(dir), Source: source, Supervision: s}
	}
	var everything []host.Receipt
	for _, s := range ways {
		everything = append(everything, host.Receipt{Ref: options(s).Ref(), Changed: true})
	}
	for name, s := range ways {
		o := options(s)
		first, err := o.Steps(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := touches(t, first, nil); len(got) != 3 || !got[o.Ref()] {
			t.Errorf("%s: %v, want the folder, the copy and the way", name, got)
		}
		later, err := o.Steps(everything)
		if err != nil {
			t.Fatal(err)
		}
		there := host.Facts{}
		for _, r := range everything {
			there[r.Ref] = host.Fact{Exists: true}
		}
		if got := touches(t, later, there); len(got) != 6 {
			t.Errorf("%s after all others: %v", name, got)
		}
		none := touches(t, o.WithdrawnAll(everything), there)
		if len(none) != 4 {
			t.Errorf("%s, nothing to renew: %v", name, none)
		}
		if got := touches(t, o.WithdrawnAll(nil), there); len(got) != 0 {
			t.Errorf("%s: what nobody made is touched: %v", name, got)
		}
	}
}

func touches(t *testing.T, list []step.Step, seen host.Facts) map[host.Ref]bool {
	t.Helper()
	touched := map[host.Ref]bool{}
	for _, s := range list {
		change, err := s.Plan(seen)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range change.Ops {
			touched[op.Ref] = true
		}
	}
	return touched
}

// Twice a day, at a time of each registry's own.
func TestCronTime(t *testing.T) {
	times := map[string]bool{}
	for _, seed := range []string{"a.test", "b.test", "c.test", "d.test"} {
		o := renewed("/reg")
		o.Seed = seed
		line := o.CronLines()[0]
		times[strings.Join(strings.Fields(line)[:2], " ")] = true
		if !strings.HasSuffix(line, " root '/reg/bin/regctl' cert renew --name registry --dir '/reg' --no-input --quiet >'/reg/renew.log' 2>&1") {
			t.Error(line)
		}
	}
	if len(times) != 4 {
		t.Errorf("four registries renew at %v", times)
	}
}

func TestRunLoop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	pidFile := filepath.Join(t.TempDir(), "renew.pid")
	attempts := 0
	err := RunLoop(ctx, LoopOptions{Every: 20 * time.Millisecond, PIDFile: pidFile}, func(context.Context) error {
		if attempts++; attempts == 5 {
			stop()
		}
		return map[bool]error{true: errors.New("this one fails")}[attempts%2 == 0]
	})
	if err != nil || attempts != 5 {
		t.Errorf("%d attempts, %v", attempts, err)
	}
	attempts = 0
	err = RunLoop(t.Context(), LoopOptions{Every: time.Millisecond, PIDFile: pidFile}, func(context.Context) error {
		attempts++
		return os.Remove(pidFile)
	})
	if err != nil || attempts != 1 {
		t.Errorf("after its pid file went: %d attempts, %v", attempts, err)
	}
}
