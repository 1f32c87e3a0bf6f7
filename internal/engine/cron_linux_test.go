package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/testenv"
)

// inPrivate runs one test of this executable as root of a mount namespace of its
// own, in which cron's folders are empty: this machine's crontabs stay untouched.
func inPrivate(t *testing.T, name string) {
	t.Helper()
	testenv.Need(t, "root", "unshare", "cron", "crontab")
	script := `set -e
for d in /var/spool/cron/crontabs /etc/cron.d /run; do mount -t tmpfs -o mode=0755 tmpfs $d; done
chown root:crontab /var/spool/cron/crontabs && chmod 1730 /var/spool/cron/crontabs
exec "$0" -test.run="^$1\$" -test.v`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", script, os.Args[0], name)
	cmd.Env = append(os.Environ(), "REGCTL_TEST_PRIVATE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// Debian's own cron, started as if the machine had just booted, runs our line.
func TestCronReboot(t *testing.T) {
	if os.Getenv("REGCTL_TEST_PRIVATE") == "" {
		inPrivate(t, t.Name())
		return
	}
	b := newBed(t)
	dir := filepath.Join(b.dir, "100% o'clock")
	exe := filepath.Join(dir, "regctl")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nprintf '%s|' \"$(id -u)\" \"$@\" >\"$(dirname \"$0\")/ran\"\necho said\n"
	if err := os.WriteFile(exe, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := CronFile("registry", CronBoot(exe, dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(CronPath("registry"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	cron := exec.Command("cron", "-f")
	if err := cron.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cron.Process.Kill(); _ = cron.Wait() }()
	b.await("cron is seen to run", cronRuns)
	b.await("cron ran the line", func() bool {
		said, _ := os.ReadFile(filepath.Join(dir, "boot.log"))
		return string(said) == "said\n"
	})
	ran, err := os.ReadFile(filepath.Join(dir, "ran"))
	if want := fmt.Sprintf("0|start|--dir|%s|", dir); err != nil || string(ran) != want {
		t.Errorf("ran %q, %v; want %q", ran, err, want)
	}
	if got := FindSupervision(); got.Systemd || got.Reboot != host.File {
		t.Errorf("FindSupervision = %+v", got)
	}
}

// Debian's own crontab takes our line and gives the rest back as it was.
func TestCrontab(t *testing.T) {
	if os.Getenv("REGCTL_TEST_PRIVATE") == "" {
		inPrivate(t, t.Name())
		return
	}
	line := CronLine("a", "/srv/100%/bin/regctl", "/srv/100%")
	op := host.Op{Ref: host.Ref{Kind: KindCrontab, Path: "a"}, Action: host.Create, Want: host.Fact{Exists: true, Data: []byte(line)}}
	remove := host.Op{Ref: op.Ref, Action: host.Remove}
	do := func(op host.Op) {
		t.Helper()
		if fact, err := (Crontab{}).Do(t.Context(), op); err != nil || fact.Hash() != op.Want.Hash() {
			t.Fatalf("%s: %+v, %v", op.Action, fact, err)
		}
	}
	for _, before := range []string{"", "# mine\n5 4 * * * job\n"} {
		if before != "" {
			if err := writeCrontab(t.Context(), before); err != nil {
				t.Fatal(err)
			}
		}
		do(op)
		do(op)
		if table, err := readCrontab(t.Context()); err != nil || table != before+line+"\n" {
			t.Errorf("crontab %q, %v", table, err)
		}
		do(remove)
		if table, err := readCrontab(t.Context()); err != nil || table != before {
			t.Errorf("crontab %q, %v; want %q", table, err, before)
		}
	}
	if err := writeCrontab(t.Context(), "no crontab line\n"); err == nil || !strings.Contains(err.Error(), "crontab -: ") {
		t.Errorf("a table that cron refuses: %v", err)
	}
}
