package testfleet_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
)

// TestVictim is the test that TestKilled kills; by itself it does nothing.
func TestVictim(t *testing.T) {
	if os.Getenv("REGCTL_TESTFLEET_VICTIM") == "" {
		return
	}
	specs := testfleet.Hosts(2)
	if testenv.Has("dockerd") {
		specs = append(specs, testfleet.Hosts(1, testfleet.Docker)...)
	}
	fleet := testfleet.New(t, specs...)
	fmt.Println("dir", filepath.Dir(fleet.Key()))
	for _, h := range fleet.Hosts() {
		// Its process outside is not known by its number inside.
		h.Run("setsid sleep 7777 >/dev/null 2>&1 &")
	}
	fmt.Println("ready")
	select {}
}

func TestKilled(t *testing.T) {
	testenv.Need(t, "root", "ip", "nsenter", "sshd")
	cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), "REGCTL_TESTFLEET_VICTIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		if rest, ok := strings.CutPrefix(lines.Text(), "dir "); ok {
			dir = rest
		}
	}
	name := filepath.Base(dir)
	processes := children(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if dir == "" || len(processes) < 8 {
		t.Fatalf("no fleet to kill: %q, %v", dir, processes)
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left := leftovers(t, dir, name, processes)
		if left == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("left: %s", left)
		}
	}
}

func leftovers(t *testing.T, dir, name string, processes []string) string {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/" + name + "*", "/sys/fs/cgroup/*/" + name + "*"} {
		if groups, _ := filepath.Glob(pattern); len(groups) > 0 {
			return groups[0]
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Sprint(dir, err)
	}
	for _, p := range processes {
		if _, err := os.Stat("/proc/" + p); err == nil {
			command, _ := os.ReadFile("/proc/" + p + "/cmdline")
			return "process " + p + " " + string(command)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), name) {
		return "a mount"
	}
	aliases, _ := filepath.Glob("/sys/class/net/rgf*/ifalias")
	for _, alias := range aliases {
		if data, _ := os.ReadFile(alias); strings.TrimSpace(string(data)) == name {
			return alias
		}
	}
	return ""
}

// children is every process below one.
func children(t *testing.T, pid int) []string {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "pid=,ppid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	below := map[string]bool{fmt.Sprint(pid): true}
	var all []string
	for grown := true; grown; {
		grown = false
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if len(f) == 2 && below[f[1]] && !below[f[0]] {
				below[f[0]], grown = true, true
				all = append(all, f[0])
			}
		}
	}
	return all
}

// A fleet whose watcher was killed too is swept by the next.
func TestSweep(t *testing.T) {
	testenv.Need(t, "root", "ip", "nsenter", "sshd")
	stale, err := os.MkdirTemp("/var/tmp", "regctl-fleet-") //nolint:usetesting // where fleets are
	if err != nil {
		t.Fatal(err)
	}
	used, err := os.MkdirTemp("/var/tmp", "regctl-fleet-") //nolint:usetesting // where fleets are
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(used)
	lock, err := os.Open(used)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{stale, used} {
		if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	testfleet.New(t)
	if _, err := os.Stat(stale); err == nil {
		t.Error("the stale folder is there")
	}
	if _, err := os.Stat(used); err != nil {
		t.Error("the folder in use is gone")
	}
}
