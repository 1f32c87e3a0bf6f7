package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// Supervision is what keeps a registry's process alive on this machine.
type Supervision struct {
	// Systemd says that a systemd unit runs it; otherwise it is detached.
	Systemd bool
	// Reboot is the kind of thing that starts a detached process at boot:
	// host.File (in /etc/cron.d), KindCrontab, or "" where nothing does.
	Reboot host.Kind
}

// FindSupervision looks at the machine. systemd is used as root where it is the
// running init (sd_booted(3)), else cron where its daemon runs.
func FindSupervision() Supervision {
	root := os.Geteuid() == 0
	if isDir("/run/systemd/system") && root {
		return Supervision{Systemd: true}
	}
	// Daemons that know @reboot read /etc/cron.d too; busybox's does neither.
	if !isDir("/etc/cron.d") || !cronRuns() {
		return Supervision{}
	}
	if root {
		return Supervision{Reboot: host.File}
	}
	// cron.allow(5) may forbid us a crontab.
	if _, err := readCrontab(context.Background()); err != nil {
		return Supervision{}
	}
	return Supervision{Reboot: KindCrontab}
}

// cronRuns looks for cron's daemon in /proc; without a /proc there is none. One in
// a container, where it has other files, is not ours. That of another user's
// process cannot be seen; it is taken for ours.
func cronRuns() bool {
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		comm, _ := os.ReadFile(name)
		if c := strings.TrimSpace(string(comm)); c != "cron" && c != "crond" {
			continue
		}
		files, err := os.Readlink(filepath.Join(filepath.Dir(name), "ns", "mnt"))
		if err != nil || files == ours {
			return true
		}
	}
	return false
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
