package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/ui"
)

// globalFlags are understood by every command.
type globalFlags struct {
	name, dir      string
	output         string
	quiet, noColor bool
	noInput, yes   bool
	lockTimeout    time.Duration
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "regctl",
		Short: "Provision a private container registry that your whole fleet trusts",
		Long: `regctl provisions private container registries: it makes the certificates,
starts the registry, and can show, repeat and undo each change it makes.

Flags can also be set by environment (REGCTL_TLS=none for --tls none) and in
/etc/regctl/config.yaml or $XDG_CONFIG_HOME/regctl/config.yaml; a flag wins over
the environment, the environment over a file.`,
		Version:           a.sys.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelp())
	root.SetFlagErrorFunc(flagError)

	f := root.PersistentFlags()
	f.StringVar(&a.flag.name, "name", "", "the registry's name (default registry)")
	f.StringVar(&a.flag.dir, "dir", "", "the registry's directory (default /var/lib/regctl/NAME as root, else $XDG_DATA_HOME/regctl/NAME)")
	f.StringVarP(&a.flag.output, "output", "o", "text", "how results are printed: text, json or yaml")
	f.BoolVarP(&a.flag.quiet, "quiet", "q", false, "print results, warnings and errors only")
	f.BoolVar(&a.flag.noColor, "no-color", false, "print without colour (NO_COLOR does the same)")
	f.BoolVar(&a.flag.noInput, "no-input", false, "never ask")
	f.BoolVarP(&a.flag.yes, "yes", "y", false, "answer every question with yes")
	f.DurationVar(&a.flag.lockTimeout, "timeout", 2*time.Minute, "how long to wait for another regctl that is at work on the same registry")

	root.AddCommand(
		newInit(a), newPlan(a), newApply(a),
		newCert(a), newStatus(a), newDoctor(a), newStart(a), newStop(a), newRestart(a), newLogs(a), newDestroy(a), newExport(a),
		newUser(a),
		newBackup(a), newRestore(a), newGC(a), newSweep(a), newUpgrade(a),
		newTrustClients(a), newUntrustClients(a), newClients(a),
		newConfig(a), newImage(a), newServe(a), newProbe(a), newVersion(a), newCompletion(a), newMan(a),
	)
	return root
}

// prepare runs before each command: it settles the flags and the voice.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := a.settleFlags(cmd); err != nil {
		return err
	}
	if a.flag.lockTimeout < 0 {
		return fault.Usage("for example --timeout 30s", "--timeout cannot be %s", a.flag.lockTimeout)
	}
	switch a.flag.output {
	case "text", "json", "yaml":
	default:
		return fault.Usage("use -o text, -o json or -o yaml", "unknown output format %q", a.flag.output)
	}
	a.ui.Format, a.ui.Quiet, a.ui.Yes, a.ui.NoInput = a.flag.output, a.flag.quiet, a.flag.yes, a.flag.noInput
	a.ui.Color = !a.flag.noColor && a.getenv("NO_COLOR") == "" && ui.IsTerminal(a.sys.Err)
	return nil
}
