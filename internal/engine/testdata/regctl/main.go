// Command regctl is, for the tests of the process runtime, `regctl serve` and
// `regctl cert renew --loop` alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Args[1] == "cert" {
		fail(renew(ctx, os.Args[3:]))
		return
	}
	// As serve's flags come after its argument: regctl serve CONFIG --user …
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	o := engine.ServeOptions{Config: os.Args[2]}
	flags.StringVar(&o.User, "user", "", "")
	flags.StringVar(&o.LogFile, "log-file", "", "")
	flags.StringVar(&o.PIDFile, "pid-file", "", "")
	flags.BoolVar(&o.Detached, "detached", false, "")
	_ = flags.Parse(os.Args[3:])
	fail(engine.RunServe(ctx, o))
}

// renew loops, and has nothing to renew.
func renew(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("renew", flag.ExitOnError)
	o := engine.LoopOptions{Every: time.Hour}
	dir := flags.String("dir", "", "")
	flags.String("name", "", "")
	for _, name := range []string{"no-input", "quiet", "loop"} {
		flags.Bool(name, false, "")
	}
	flags.StringVar(&o.PIDFile, "pid-file", "", "")
	flags.BoolVar(&o.Detached, "detached", false, "")
	_ = flags.Parse(args)
	o.LogFile = engine.RenewLog(*dir)
	return engine.RunLoop(ctx, o, func(context.Context) error { return nil })
}

func fail(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\nhint: %s\n", err, fault.Hint(err))
		os.Exit(1)
	}
}
