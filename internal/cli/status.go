package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

func newStatus(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the registry runs, answers, and until when its certificate is good",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.findAny()
			if err != nil {
				return err
			}
			status, err := r.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.ui.Result(status, func(w io.Writer) { printStatus(w, status) }); err != nil {
				return err
			}
			for _, warning := range status.Warnings {
				a.ui.Warn("%s", warning)
			}
			if check && (status.State != scenario.Running || !status.Healthy) {
				return exitStatus(exitDifferent)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit status 4 unless the registry runs and answers")
	return cmd
}

func printStatus(w io.Writer, s scenario.Status) {
	if s.State == scenario.Absent {
		fmt.Fprintf(w, "%s: absent (no registry in %s)\n", s.Name, s.Dir)
		return
	}
	state := s.State
	if s.State == scenario.Running && !s.Healthy {
		state = "running, but it does not answer"
	}
	if s.Detail != "" {
		state += " (" + s.Detail + ")"
	}
	fmt.Fprintf(w, "%s: %s\n", s.Name, state)
	if s.Endpoint == "" { // regctl.yaml is gone, and with it all that follows
		return
	}
	row := func(key, format string, args ...any) {
		fmt.Fprintf(w, "  %-9s %s\n", key, fmt.Sprintf(format, args...))
	}
	row("endpoint", "%s", s.Endpoint)
	if s.Image != "" {
		row("runtime", "%s, %s", s.Runtime, s.Image)
	} else {
		row("runtime", "%s", s.Runtime)
	}
	if len(s.Tasks) > 0 {
		row("tasks", "%s", tasksText(s.Tasks))
	}
	if s.TLS.NotAfter != nil {
		days := int(math.Round(time.Until(*s.TLS.NotAfter).Hours() / 24))
		row("tls", "%s, until %s (%d days), for %s", s.TLS.Mode, s.TLS.NotAfter.Format(time.DateOnly), days, strings.Join(s.TLS.SANs, ", "))
	} else {
		row("tls", "%s", s.TLS.Mode)
	}
	if s.TLS.CAFingerprint != "" {
		row("ca", "%s", s.TLS.CAFingerprint)
	}
	if s.Auth.Users > 0 || s.Auth.Mode == spec.AuthHtpasswd {
		row("auth", "%s, %d %s", s.Auth.Mode, s.Auth.Users, plural(s.Auth.Users, "user"))
	} else {
		row("auth", "%s", s.Auth.Mode)
	}
	if p := s.Proxy; p != nil {
		asks := ""
		if s.Auth.Mode == spec.AuthHtpasswd {
			asks = ", passwords asked for by the " + p.AuthAt
		}
		row("proxy", "%s %s%s", p.Kind, p.Version+p.Image, asks)
	}
	if n := len(s.Clients); n > 0 {
		row("clients", "%d %s, %d verified; regctl clients list names them", n, plural(n, "host"), verifiedOf(s.Clients))
	}
	if s.Reboot != "" {
		row("reboot", "%s", s.Reboot)
	}
	if s.Renewal != "" {
		row("renewal", "%s", s.Renewal)
	}
	row("directory", "%s", s.Dir)
}

// tasksText names the node of each task, and how those fare that do not run.
func tasksText(tasks []engine.SwarmTask) string {
	var all []string
	for _, t := range tasks {
		switch text := cmp.Or(t.Node, "nowhere"); {
		case t.Runs():
			all = append(all, text)
		default:
			all = append(all, text+" ("+t.State+")")
		}
	}
	return strings.Join(all, ", ")
}

func verifiedOf(clients []scenario.StatusClient) (n int) {
	for _, c := range clients {
		if c.Verified != nil && *c.Verified {
			n++
		}
	}
	return n
}
