package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/regctl/regctl/internal/host"
)

// A dockerd of another machine, which a container is too, is not ours to tell
// anything; the one beside sshd is.
func TestReloadReachesThatMachinesDockerd(t *testing.T) {
	s := startSSHD(t)
	h, err := s.dial(t, "root", s.options())
	must(t, err)
	machine := func() host.Machine {
		facts, err := h.Look(t.Context(), []host.Ref{host.MachineRef()})
		must(t, err)
		return host.ParseMachine(facts[host.MachineRef()])
	}
	if m := machine(); m.DockerdPID != 0 || len(m.Daemons) > 0 {
		t.Errorf("it sees this machine's daemons: %+v", m)
	}
	receipts, err := h.Do(t.Context(), []host.Op{host.ReloadDockerd()})
	if err != nil || receipts[0].Note == "" {
		t.Errorf("without a dockerd: %+v, %v", receipts, err)
	}

	told := filepath.Join(t.TempDir(), "told")
	// It has no children: for a moment one would be called dockerd too, and get the signal.
	const fake = "#!/bin/sh\nmkfifo \"$1.wait\"\nexec 3<>\"$1.wait\"\ntrap 'echo hup >>\"$1\"' HUP\necho up >\"$1\"\nwhile :; do read -r line <&3; done\n"
	start := `printf %s "$2" >/run/dockerd && chmod 755 /run/dockerd && exec /run/dockerd "$1" --insecure-registry 'a b:5000'`
	cmd := exec.Command("nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", s.pid), "sh", "-c", start, "sh", told, fake)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	read := func() string {
		data, _ := os.ReadFile(told) // not there yet
		return string(data)
	}
	await(t, func() bool { return read() == "up\n" }, read)
	m := machine()
	if m.DockerdPID != cmd.Process.Pid || !slices.Contains(m.DockerdArgs, "--insecure-registry") || !slices.Contains(m.DockerdArgs, "a b:5000") {
		t.Errorf("%+v", m)
	}
	changed := file(filepath.Join(t.TempDir(), "f"), "x")
	reload := host.ReloadDockerd()
	reload.OnlyIf = []host.Ref{changed.Ref}
	receipts, err = h.Do(t.Context(), []host.Op{changed, reload, host.ValidateDockerd("")})
	if err != nil || len(receipts) != 3 || !receipts[1].Changed || receipts[2].Changed {
		t.Errorf("%+v, %v", receipts, err)
	}
	await(t, func() bool { return read() == "up\nhup\n" }, read)
	receipts, err = h.Do(t.Context(), []host.Op{changed, reload})
	if err != nil || receipts[1].Changed || read() != "up\nhup\n" {
		t.Errorf("told again though nothing changed: %+v, %v, %q", receipts, err, read())
	}
}
