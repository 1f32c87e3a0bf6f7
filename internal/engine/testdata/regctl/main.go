// Command regctl is, for the tests of the process runtime, `regctl serve` alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// As serve's flags come after its argument: regctl serve CONFIG --user …
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	o := engine.ServeOptions{Config: os.Args[2]}
	flags.StringVar(&o.User, "user", "", "")
	flags.StringVar(&o.LogFile, "log-file", "", "")
	flags.StringVar(&o.PIDFile, "pid-file", "", "")
	flags.BoolVar(&o.Detached, "detached", false, "")
	_ = flags.Parse(os.Args[3:])
	if err := engine.RunServe(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\nhint: %s\n", err, fault.Hint(err))
		os.Exit(1)
	}
}
