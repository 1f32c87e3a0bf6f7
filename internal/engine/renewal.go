package engine

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// RenewalOptions says how the certificate of one registry is renewed while nobody
// watches: by a systemd timer, by cron, or where neither is there by a process that
// sleeps most of the time. What serves never holds the keys that this needs.
type RenewalOptions struct {
	Name string // the registry's
	Dir  statedir.Dir
	// Source is the executable that is copied to DIR/bin; "" where that is done
	// already, for the process runtime.
	Source string
	// Seed spreads the times of many registries, for cron.
	Seed string
	// CronFile is set where /etc/cron.d/regctl-NAME is the process runtime's, which
	// writes the line for renewals too: see ProcessOptions.Renewal.
	CronFile bool
	// Writes are folders below /etc that a renewal writes: those of a proxy.
	Writes []string
	// Again is as in ProcessOptions, of the loop.
	Again bool
	Supervision
}

// Kind is what renews: KindTimer, host.File (in /etc/cron.d), KindCrontab or KindLoop.
func (o RenewalOptions) Kind() host.Kind {
	switch {
	case o.Systemd:
		return KindTimer
	case o.Reboot != "":
		return o.Reboot
	}
	return KindLoop
}

// Exe is the copy of regctl that renews.
func (o RenewalOptions) Exe() string { return o.Dir.Join("bin", "regctl") }

// Ref names what renews.
func (o RenewalOptions) Ref() host.Ref { return o.ref(o.Kind()) }

func (o RenewalOptions) ref(kind host.Kind) host.Ref {
	switch kind {
	case KindTimer:
		return host.Ref{Kind: kind, Path: TimerPath(o.Name)}
	case host.File:
		return host.Ref{Kind: kind, Path: CronPath(o.Name)}
	case KindCrontab:
		return host.Ref{Kind: kind, Path: o.Name + "-renew"}
	}
	return host.Ref{Kind: KindLoop, Path: string(o.Dir)}
}

// renewArgs are without --loop.
func (o RenewalOptions) args(more ...string) []string {
	return append([]string{"cert", "renew", "--name", o.Name, "--dir", string(o.Dir), "--no-input", "--quiet"}, more...)
}

// RenewLog is what the last renewal by cron, or those of the loop, said.
func RenewLog(dir string) string { return statedir.Dir(dir).Join("renew.log") }

// cronTime is twice a day, at a minute of its own.
func (o RenewalOptions) cronTime() string {
	sum := sha256.Sum256([]byte(o.Seed + "/" + o.Name))
	hour := int(sum[0]) % 12
	return fmt.Sprintf("%d %d,%d * * *", int(sum[1])%60, hour, hour+12)
}

// cronLine is the line for /etc/cron.d with a user, for a crontab without.
func (o RenewalOptions) cronLine(user string) string {
	if user != "" {
		user = " " + user
	}
	return o.cronTime() + user + " " + cronCommand(RenewLog(string(o.Dir)), append([]string{o.Exe()}, o.args()...)...)
}

// CronLines are what ProcessOptions must know where CronFile is set.
func (o RenewalOptions) CronLines() []string {
	if !o.CronFile {
		return nil
	}
	return []string{o.cronLine("root")}
}

func (o RenewalOptions) process() Process {
	return Process{Exe: o.Exe(), Args: o.args("--loop", "--pid-file", LoopPIDFile(string(o.Dir)), "--detached")}
}

// Steps lists what has the certificate renewed from now on. Other ways that known,
// what was made for the registry earlier, has are taken away.
func (o RenewalOptions) Steps(known []host.Receipt) ([]step.Step, error) {
	list := o.Withdrawn(known)
	copied := host.Ref{Kind: KindBinary, Path: o.Exe()}
	if o.Source != "" {
		binary, err := BinaryFact(o.Source)
		if err != nil {
			return nil, err
		}
		list = append(list,
			step.MakeDir{Path: o.Dir.Bin(), Mode: 0o700, UID: os.Geteuid(), GID: os.Getegid()},
			ensure{ref: copied, want: binary, target: o.Exe(), about: "(copy of " + o.Source + ")"})
	}
	renews, err := o.step(copied)
	if renews != nil {
		list = append(list, renews)
	}
	return list, err
}

func (o RenewalOptions) step(copied host.Ref) (step.Step, error) {
	switch o.Kind() {
	case KindTimer:
		want, err := o.timer()
		return timerStep{path: TimerPath(o.Name), want: want}, err
	case host.File:
		if o.CronFile {
			return nil, nil
		}
		text, err := CronFile(o.Name, o.cronLine("root"))
		return step.WriteFile{Path: CronPath(o.Name), Data: text, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}, err
	case KindCrontab:
		line := o.cronLine("") + " " + cronMark(o.Name+"-renew")
		return ensure{
			ref: o.Ref(), want: host.Fact{Exists: true, Data: []byte(line)},
			target: "crontab, for renewals", about: line,
		}, nil
	}
	return ensure{
		ref: o.Ref(), want: o.process().Fact(), target: "renewal loop " + o.Name,
		about: "(renews the certificate when it is due)", restartIf: []host.Ref{copied}, again: o.Again,
	}, nil
}

// Withdrawn lists what takes renewals away again: every way of which known tells
// that it was made, but the one that is to be.
func (o RenewalOptions) Withdrawn(known []host.Receipt) (list []step.Step) {
	for _, kind := range []host.Kind{KindTimer, host.File, KindCrontab, KindLoop} {
		ref := o.ref(kind)
		made := slices.ContainsFunc(known, func(r host.Receipt) bool { return r.Ref == ref })
		if made && ref != o.Ref() && (kind != host.File || !o.CronFile) {
			list = append(list, absent{ref})
		}
	}
	return list
}

// WithdrawnAll is Withdrawn for a registry with nothing to renew: no way is to be.
func (o RenewalOptions) WithdrawnAll(known []host.Receipt) (list []step.Step) {
	ref := o.Ref()
	list = o.Withdrawn(known)
	made := slices.ContainsFunc(known, func(r host.Receipt) bool { return r.Ref == ref })
	if made && (ref.Kind != host.File || !o.CronFile) {
		list = append(list, absent{ref})
	}
	if o.Source != "" {
		for _, ref := range []host.Ref{{Kind: KindBinary, Path: o.Exe()}, {Kind: host.Dir, Path: o.Dir.Bin()}} {
			if slices.ContainsFunc(known, func(r host.Receipt) bool { return r.Ref == ref }) {
				list = append(list, absent{ref})
			}
		}
	}
	return list
}

// absent is the step that takes one thing away.
type absent struct{ ref host.Ref }

func (a absent) Name() string      { return a.ref.String() }
func (a absent) Reads() []host.Ref { return []host.Ref{a.ref} }

func (a absent) Plan(seen host.Facts) (step.Change, error) {
	now := seen[a.ref]
	if !now.Exists || now.Foreign != "" {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: a.ref.String(), Action: host.Remove, Diff: "(renewals)"}},
		Ops:   []host.Op{{Ref: a.ref, Action: host.Remove, Before: now.Hash()}},
	}, nil
}
