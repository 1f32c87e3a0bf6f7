package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/regctl/regctl/internal/host"
)

// Cover says what renews the certificate of a registry, by what known tells was made
// for it: "systemd timer …", "cron (…)", "loop, pid …"; "" where nothing does.
func (o RenewalOptions) Cover(ctx context.Context, known []host.Receipt) string {
	for _, receipt := range known {
		switch receipt.Ref {
		case o.ref(KindTimer):
			if fact, err := (Timers{}).Look(ctx, receipt.Path); err == nil && fact.Exists {
				var s timerState
				if json.Unmarshal(fact.Data, &s) == nil && s.Enabled && s.Active {
					return "systemd timer regctl-" + o.Name + "-renew.timer"
				}
			}
		case o.ref(host.File):
			text, err := os.ReadFile(receipt.Path)
			if err == nil && strings.Contains(string(text), " cert renew ") {
				return "cron (" + receipt.Path + ")"
			}
		case o.ref(KindCrontab):
			if fact, err := (Crontab{}).Look(ctx, receipt.Path); err == nil && fact.Exists {
				return "cron (crontab)"
			}
		case o.ref(KindLoop):
			if r, ok, err := findProcess(LoopPIDFile(string(o.Dir))); err == nil && ok {
				return fmt.Sprintf("loop, pid %d", r.PID)
			}
		}
	}
	return ""
}
