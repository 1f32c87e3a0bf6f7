package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/regctl/regctl/internal/host"
)

// Inspect tells how the registry's process is. Healthy is not known here: a
// process that runs has answered once, and whether it answers now only a request
// can tell.
func (o ProcessOptions) Inspect(ctx context.Context) (Status, error) {
	if _, err := os.Stat(o.Exe()); os.IsNotExist(err) {
		return Status{State: "absent"}, nil
	}
	if o.Systemd {
		return o.inspectUnit(ctx)
	}
	r, ok, err := findProcess(PIDFile(string(o.Dir)))
	if err != nil || !ok {
		return Status{State: "stopped"}, err
	}
	return Status{State: "running", Detail: fmt.Sprintf("pid %d", r.PID)}, nil
}

func (o ProcessOptions) inspectUnit(ctx context.Context) (Status, error) {
	fact, err := Systemd{}.Look(ctx, UnitPath(o.Name))
	if err != nil || !fact.Exists {
		return Status{State: "stopped"}, err
	}
	var u unitState
	if err := json.Unmarshal(fact.Data, &u); err != nil {
		return Status{}, err
	}
	if !u.Active {
		return Status{State: "stopped"}, nil
	}
	out, err := systemctl(ctx, "show", "--property=MainPID", unitName(o.Name))
	return Status{State: "running", Detail: "pid " + properties(out)["MainPID"]}, err
}

// RebootCover says what starts the registry when the machine has booted:
// "systemd", "cron", or "not covered".
func (o ProcessOptions) RebootCover(ctx context.Context) string {
	if o.Systemd {
		if fact, err := (Systemd{}).Look(ctx, UnitPath(o.Name)); err == nil && fact.Exists {
			var u unitState
			if json.Unmarshal(fact.Data, &u) == nil && u.Enabled {
				return "systemd"
			}
		}
		return "not covered"
	}
	switch o.Reboot {
	case host.File:
		if _, err := os.Stat(CronPath(o.Name)); err == nil {
			return "cron"
		}
	case KindCrontab:
		if fact, err := (Crontab{}).Look(ctx, o.Name); err == nil && fact.Exists {
			return "cron"
		}
	}
	return "not covered"
}

// Logs copies the last tail lines of the registry's log to w, all of it with a
// negative tail, and then, with follow, what is added until ctx is done.
func (o ProcessOptions) Logs(ctx context.Context, follow bool, tail int, w io.Writer) error {
	return tailLog(ctx, o.LogFile(), follow, tail, w)
}
