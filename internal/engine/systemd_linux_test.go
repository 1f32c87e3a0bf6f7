package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testenv"
)

const systemd = "/lib/systemd/systemd"

// TestUnderSystemd runs its second half as root under a real systemd that is
// process 1 of namespaces of its own, see testdata/systemd-boot.sh.
func TestUnderSystemd(t *testing.T) {
	if source := os.Getenv("REGCTL_TEST_SYSTEMD"); source != "" {
		underSystemd(t, source)
		return
	}
	testenv.Need(t, "root", "go", "unshare", "nsenter", "ip", "systemctl", systemd)
	source := buildRegctl(t)
	folder, err := os.MkdirTemp("/var/tmp", "regctl-systemd") //nolint:usetesting // its place matters
	if err != nil {
		t.Fatal(err)
	}
	group := filepath.Base(folder)
	cmd := exec.Command("unshare", "--mount", "sh", "testdata/systemd-boot.sh", folder, group)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		clean := `mount -t cgroup2 none "$1" && find "$1/$2" -depth -type d -exec rmdir {} +`
		newBed(t).await("its cgroup is gone", func() bool {
			_ = exec.Command("unshare", "--mount", "sh", "-c", clean, "sh", folder, group).Run()
			out, err := exec.Command("unshare", "--mount", "sh", "-c", `mount -t cgroup2 none "$1" && ls "$1"`, "sh", folder).Output()
			return err == nil && !strings.Contains(string(out), group)
		})
		_ = os.Remove(folder)
	})
	b := newBed(t)
	init := 0
	b.await("systemd has booted", func() bool {
		for _, pid := range children(t, cmd.Process.Pid) {
			if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); strings.HasSuffix(exe, systemd) {
				init = pid
			}
		}
		return init != 0 && within(t, init, nil, "systemctl", "is-system-running").Run() == nil
	})
	out, err := within(t, init, []string{"REGCTL_TEST_SYSTEMD=" + source}, os.Args[0], "-test.run=^TestUnderSystemd$", "-test.v").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s%s", err, said.String(), out)
	}
}

// within is a command in the namespaces of process init.
func within(t *testing.T, init int, env []string, argv ...string) *exec.Cmd {
	args := append([]string{"--target", fmt.Sprint(init), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net", "--"}, argv...)
	cmd := exec.CommandContext(t.Context(), "nsenter", args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func underSystemd(t *testing.T, source string) {
	supervision := FindSupervision()
	if !supervision.Systemd {
		t.Fatal("systemd was not found")
	}
	for _, dir := range []string{"/srv/registry", filepath.Join(t.TempDir(), "100% of $HOME")} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			r := newRegistry(t, source)
			r.Name, r.ProcessOptions.Dir, r.Data = "unit-test", statedir.Dir(dir), filepath.Join(dir, "data")
			r.Supervision = supervision
			r.RestartIf = []host.Ref{{Kind: host.File, Path: r.ProcessOptions.Dir.ServeConfig()}}
			r.local = host.NewLocal(map[host.Kind]host.Handler{KindBinary: Binary{Source: source}, KindUnit: Systemd{}})
			unitLife(r)
			timerLife(r)
		})
	}
}

func unitLife(r *registry) {
	first := r.mustApply("info")
	pid := r.mainPID()
	if err := r.push("one"); err != nil { // no waiting: systemctl came back, so it serves
		r.Fatal(err)
	}
	unprivileged(r.T, pid)
	if cover := r.RebootCover(r.Context()); cover != "systemd" {
		r.Errorf("reboot: %s", cover)
	}
	if again := r.mustApply("info"); len(again) > 0 || r.mainPID() != pid {
		r.Errorf("a second apply changed %v, pid %d was %d", again, r.mainPID(), pid)
	}
	if r.mustApply("warn"); r.mainPID() == pid || r.push("two") != nil {
		r.Errorf("another config.yml: pid %d was %d", r.mainPID(), pid)
	}
	if err := syscall.Kill(r.mainPID(), syscall.SIGKILL); err != nil {
		r.Fatal(err)
	}
	r.await("systemd starts it again", func() bool { return r.push("three") == nil })

	stop := host.Op{Ref: r.Ref(), Action: host.Stop, Before: host.AnyBefore}
	if _, err := r.local.Do(r.Context(), []host.Op{stop}); err != nil {
		r.Fatal(err)
	}
	if status, err := r.Inspect(r.Context()); err != nil || status.State != "stopped" {
		r.Errorf("status %+v, %v", status, err)
	}
	if r.mustApply("warn"); r.push("four") != nil {
		r.Error("it does not serve after stop and apply")
	}
	if err := os.RemoveAll(r.ProcessOptions.Dir.Logs()); err != nil {
		r.Fatal(err)
	}
	if err := os.RemoveAll(r.Data); err != nil {
		r.Fatal(err)
	}
	if err := step.Undo(r.Context(), r.local, first); err != nil {
		r.Error(err)
	}
	left, err := os.ReadDir(string(r.ProcessOptions.Dir))
	if err != nil || len(left) > 0 {
		r.Errorf("undo left %v, %v", left, err)
	}
	r.unitGone()
	r.unitPortTaken()
}

// unitPortTaken: the error is what the registry said, and no unit goes on trying.
func (r *registry) unitPortTaken() {
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	defer l.Close()
	_, err = r.apply("info")
	// In its sandbox even root may not look into the holder's descriptors.
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %s is held by a process of user 0", r.addr)) {
		r.Errorf("port taken: %v", err)
	}
	r.unitGone()
}

func (r *registry) unitGone() {
	r.Helper()
	units, err := systemctl(context.Background(), "list-units", "--all", "--plain", "--no-legend", unitName(r.Name))
	if err != nil || strings.TrimSpace(units) != "" {
		r.Errorf("systemd still knows %q, %v", units, err)
	}
	if links, _ := filepath.Glob("/etc/systemd/system/*.wants/*"); len(links) > 0 {
		r.Errorf("left: %v", links)
	}
}

func (r *registry) mainPID() (pid int) {
	r.Helper()
	status, err := r.Inspect(r.Context())
	if _, scan := fmt.Sscanf(status.Detail, "pid %d", &pid); err != nil || scan != nil || status.State != "running" {
		r.Fatalf("status %+v, %v", status, err)
	}
	return pid
}
