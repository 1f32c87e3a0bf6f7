package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/engine"
)

func newServe(*app) *cobra.Command {
	var o engine.ServeOptions
	cmd := &cobra.Command{
		Use:   "serve CONFIG.yml",
		Short: "Run the embedded registry in the foreground",
		Long: `Run the embedded registry in the foreground, configured by distribution's own
config.yml. This is what init starts in a container or as a process. SIGTERM
lets requests under way finish first; a changed certificate is picked up at the
next handshake.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			o.Config = given[0]
			if err := readable(o.Config); err != nil {
				return err
			}
			return engine.RunServe(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.User, "user", "", "UID:GID to go on as once the port is bound (as root, on Linux)")
	f.StringVar(&o.LogFile, "log-file", "", "log to this file, 10 MB at most and two older ones (default: standard error)")
	f.StringVar(&o.PIDFile, "pid-file", "", "note the process's id here")
	f.BoolVar(&o.Detached, "detached", false, "started by regctl, which waits for word on descriptor 3")
	_ = f.MarkHidden("detached")
	return cmd
}
