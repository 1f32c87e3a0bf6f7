package engine

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// renewal sets renewals up on a host of r's, and gives the means to do it again.
func (r *registry) renewal(s Supervision) (o RenewalOptions, apply func() []host.Receipt) {
	o = RenewalOptions{Name: r.Name, Dir: r.ProcessOptions.Dir, Source: r.Source, Seed: "registry.test", Supervision: s}
	local := host.NewLocal(map[host.Kind]host.Handler{
		KindBinary: Binary{Source: r.Source, Link: true}, KindTimer: Timers{}, KindLoop: Processes{Drain: r.Drain, Loop: true},
	})
	r.local = local
	return o, func() []host.Receipt {
		r.Helper()
		list, err := o.Steps(nil)
		if err != nil {
			r.Fatal(err)
		}
		planned, err := step.Plan(r.Context(), local, list)
		if err != nil {
			r.Fatal(err)
		}
		var ops []host.Op
		for _, change := range planned.Changes {
			ops = append(ops, change.Ops...)
		}
		receipts, err := local.Do(r.Context(), ops)
		if err != nil {
			r.Fatal(err)
		}
		return receipts
	}
}

func testRenewalLoop(r *registry) {
	o, apply := r.renewal(Supervision{})
	receipts := apply()
	pid := func() int {
		found, ok, err := findProcess(LoopPIDFile(r.dir))
		if err != nil || !ok {
			return 0
		}
		return found.PID
	}
	first := pid()
	if cover := o.Cover(r.Context(), receipts); first == 0 || !strings.HasPrefix(cover, "loop, pid ") {
		r.Fatalf("cover %q, pid %d", cover, first)
	}
	if again := apply(); len(again) != 0 || pid() != first {
		r.Errorf("the same again did %v, pid %d was %d", again, pid(), first)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		r.Fatal(err)
	}
	r.await("the loop is gone", func() bool { return pid() == 0 })
	if cover := o.Cover(r.Context(), receipts); cover != "" {
		r.Errorf("killed, it covers by %q", cover)
	}
	apply()
	second := pid()
	if second == 0 || serving(r.T, r.Exe()) != 1 {
		r.Errorf("after kill -9: pid %d, %d processes", second, serving(r.T, r.Exe()))
	}
	if err := step.Undo(r.Context(), r.local, receipts); err != nil {
		r.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(r.dir, "*"))
	if serving(r.T, r.Exe()) != 0 || strings.Join(left, " ") != filepath.Join(r.dir, "ca.key")+" "+RenewLog(r.dir) {
		r.Errorf("undone, %d processes and %v are left", serving(r.T, r.Exe()), left)
	}
}

// timerLife runs under a real systemd: it starts our command by the timer's service.
func timerLife(r *registry) {
	o, apply := r.renewal(Supervision{Systemd: true})
	receipts := apply()
	if cover := o.Cover(r.Context(), receipts); cover != "systemd timer regctl-unit-test-renew.timer" {
		r.Errorf("cover %q", cover)
	}
	if again := apply(); len(again) != 0 {
		r.Errorf("the same again did %v", again)
	}
	list, err := systemctl(r.Context(), "list-timers", "--all", "--plain", "--no-legend", "regctl-unit-test-renew.timer")
	if err != nil || !strings.Contains(list, "regctl-unit-test-renew.service") {
		r.Errorf("timers %q, %v", list, err)
	}
	// Our command goes on until it is told to end, as a renewal would not.
	if _, err := systemctl(r.Context(), "start", "--no-block", "regctl-unit-test-renew.service"); err != nil {
		r.Error(err)
	}
	r.await("the service runs it", func() bool { return serving(r.T, r.Exe()) == 1 })
	if _, err := systemctl(r.Context(), "stop", "regctl-unit-test-renew.timer", "regctl-unit-test-renew.service"); err != nil {
		r.Error(err)
	}
	if cover := o.Cover(r.Context(), receipts); cover != "" {
		r.Errorf("stopped, it covers by %q", cover)
	}
	apply()
	if o.Cover(r.Context(), receipts) == "" {
		r.Error("a timer that was stopped is not started again")
	}
	if err := step.Undo(r.Context(), r.local, receipts); err != nil {
		r.Error(err)
	}
	units, err := systemctl(r.Context(), "list-units", "--all", "--plain", "--no-legend", "regctl-unit-test-renew*")
	if err != nil || strings.TrimSpace(units) != "" {
		r.Errorf("systemd still knows %q, %v", units, err)
	}
	left, _ := filepath.Glob("/etc/systemd/system/*renew*")
	wants, _ := os.ReadDir("/etc/systemd/system/timers.target.wants")
	if len(left) > 0 || len(wants) > 0 {
		r.Errorf("left %v, %v", left, wants)
	}
}
