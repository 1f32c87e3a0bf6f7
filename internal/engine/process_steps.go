package engine

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// ProcessOptions says how one registry runs as a process.
type ProcessOptions struct {
	Name     string
	Dir      statedir.Dir
	UID, GID int           // what it runs as; ours, or another when we are root
	Drain    time.Duration // how long it may take to stop
	// Source is the executable that is copied to DIR/bin: regctl itself.
	Source string
	// Data is where images are kept on this machine's disk, or "".
	Data string
	// Socket is the folder of the unix socket that it listens on, or "".
	Socket string
	// RestartIf are the files that the process reads only when it starts.
	RestartIf []host.Ref
	// Again restarts it in any case: it may still run the program before this one.
	Again bool
	// CronLines are further lines for the file in /etc/cron.d, where there is one.
	CronLines []string
	Supervision
}

// Exe is the copy of regctl that the registry runs from.
func (o ProcessOptions) Exe() string { return o.Dir.Join("bin", "regctl") }

// LogFile is the registry's log; older ones and crash.log lie beside it.
func (o ProcessOptions) LogFile() string { return o.Dir.Join("logs", "registry.log") }

// Ref names what runs: a systemd unit or a detached process. A host.Op on it
// with host.Stop, or host.Restart and Want, is all that those commands need.
func (o ProcessOptions) Ref() host.Ref {
	if o.Systemd {
		return host.Ref{Kind: KindUnit, Path: UnitPath(o.Name)}
	}
	return host.Ref{Kind: KindProcess, Path: string(o.Dir)}
}

// Want is the thing named by Ref, running as it should.
func (o ProcessOptions) Want() (host.Fact, error) {
	p := o.process()
	if !o.Systemd {
		return p.Fact(), nil
	}
	folders := []string{o.Dir.Logs()}
	if o.Data != "" {
		folders = append(folders, o.Data)
	}
	if o.Socket != "" {
		folders = append(folders, o.Socket)
	}
	text, err := Unit{Name: o.Name, User: o.user(), Drain: o.Drain, Data: folders, Process: p}.Render()
	return UnitFact(text), err
}

func (o ProcessOptions) user() string { return fmt.Sprintf("%d:%d", o.UID, o.GID) }

func (o ProcessOptions) process() Process {
	args := []string{"serve", o.Dir.ServeConfig(), "--log-file", o.LogFile()}
	if os.Geteuid() == 0 && o.UID != 0 {
		args = append(args, "--user", o.user())
	}
	if !o.Systemd {
		args = append(args, "--pid-file", PIDFile(string(o.Dir)), "--detached")
	}
	return Process{Exe: o.Exe(), Args: args}
}

// ProcessSteps lists what makes the registry run as a process, and come back
// after a reboot where the machine has a way for that.
func ProcessSteps(o ProcessOptions) ([]step.Step, error) {
	binary, err := BinaryFact(o.Source)
	if err != nil {
		return nil, err
	}
	want, err := o.Want()
	if err != nil {
		return nil, err
	}
	reboot, err := o.rebootSteps()
	if err != nil {
		return nil, err
	}
	copied := host.Ref{Kind: KindBinary, Path: o.Exe()}
	list := []step.Step{
		step.MakeDir{Path: o.Dir.Bin(), Mode: 0o700, UID: os.Geteuid(), GID: os.Getegid()},
		step.MakeDir{Path: o.Dir.Logs(), Mode: 0o700, UID: o.UID, GID: o.GID},
		ensure{ref: copied, want: binary, target: o.Exe(), about: "(copy of " + o.Source + ")"},
	}
	list = append(list, reboot...)
	return append(list, ensure{
		ref: o.Ref(), want: want, target: o.target(),
		about:     strings.Join(append([]string{o.Exe()}, o.process().Args...), " "),
		restartIf: append([]host.Ref{copied}, o.RestartIf...), again: o.Again,
	}), nil
}

func (o ProcessOptions) target() string {
	if o.Systemd {
		return UnitPath(o.Name)
	}
	return "process " + o.Name
}

// rebootSteps is how a detached process comes back after a reboot; systemd needs
// none.
func (o ProcessOptions) rebootSteps() ([]step.Step, error) {
	switch {
	case o.Systemd || o.Reboot == "":
		return nil, nil
	case o.Reboot == KindCrontab:
		line := CronLine(o.Name, o.Exe(), string(o.Dir))
		return []step.Step{ensure{
			ref:    host.Ref{Kind: KindCrontab, Path: o.Name},
			want:   host.Fact{Exists: true, Data: []byte(line)},
			target: "crontab", about: line,
		}}, nil
	}
	text, err := CronFile(o.Name, append([]string{CronBoot(o.Exe(), string(o.Dir))}, o.CronLines...)...)
	return []step.Step{step.WriteFile{
		Path: CronPath(o.Name), Data: text, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid(),
	}}, err
}
