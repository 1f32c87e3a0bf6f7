// Package cli is regctl's command line: one file a command, which turns flags
// into a spec, calls the packages that do the work, and prints what they answer.
// It is the only importer of cobra and viper.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/ui"
)

// System is the outside world as the commands see it.
type System struct {
	Args     []string // without the program's name
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // NAME=value
	Version  string
}

// Exit statuses, as the command-line contract gives them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3
	exitDifferent   = 4
	exitInterrupted = 130
)

// exitStatus ends a command that has already said all there is to say.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs one command line and returns the process's exit status.
func Main(sys System) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	a := &app{sys: sys, ui: &ui.UI{In: sys.In, Out: sys.Out, Err: sys.Err}}
	root := newRoot(a)
	root.SetArgs(sys.Args)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	return a.report(ctx, root.ExecuteContext(ctx))
}

// report prints err, if it has not been printed yet, and gives its exit status.
func (a *app) report(ctx context.Context, err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case ctx.Err() != nil:
		a.ui.Error(interrupted(ctx, err))
		return exitInterrupted
	case fault.IsUsage(err), isCobraUsage(err):
		a.ui.Error(withUsageHint(err))
		return exitUsage
	case fault.Hint(err) == "" && host.Mends(err) != "":
		a.ui.Error(fault.Fail(host.Mends(err), "%w", err))
	default:
		a.ui.Error(err)
	}
	return exitFailed
}

// interrupted says what an interrupt led to, if that is more than the end of what
// was under way.
func interrupted(ctx context.Context, err error) error {
	const hint = "run the same command again to finish"
	var more []string
	for line := range strings.Lines(err.Error()) {
		if !givenUp(ctx, line) {
			more = append(more, strings.TrimSpace(line))
		}
	}
	if len(more) == 0 {
		return fault.Fail(hint, "interrupted")
	}
	return fault.Fail(hint, "interrupted: %s", strings.Join(more, "; "))
}

// givenUp recognises what clients of the engine say of a request that was given
// up; they wrap no error that could be asked for.
func givenUp(ctx context.Context, text string) bool {
	for _, words := range []string{context.Canceled.Error(), context.Cause(ctx).Error(), io.ErrClosedPipe.Error()} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// usageError marks what cobra says about flags and arguments as bad input.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Usage() bool   { return true }
func (e *usageError) Hint() string  { return e.hint }

// isCobraUsage recognises the errors that cobra makes without a hook of ours.
func isCobraUsage(err error) bool {
	msg := err.Error()
	return strings.HasPrefix(msg, "unknown command") || strings.HasPrefix(msg, "required flag") ||
		strings.HasPrefix(msg, "if any flags in the group")
}

func withUsageHint(err error) error {
	if fault.Hint(err) != "" {
		return err
	}
	first, rest, _ := strings.Cut(err.Error(), "\n")
	hint := "regctl --help lists the commands"
	if _, suggestion, ok := strings.Cut(rest, "Did you mean this?"); ok {
		hint = "did you mean: regctl " + strings.Join(strings.Fields(suggestion), ", ") + "?"
	}
	return &usageError{errors.New(first), hint}
}

// app is what every command shares.
type app struct {
	sys  System
	ui   *ui.UI
	flag globalFlags
	// lines is standard input for commands that read several secrets from it.
	lines *bufio.Reader
}

func (a *app) getenv(name string) string {
	for i := len(a.sys.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(a.sys.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// args wraps cobra's argument checks so that their errors carry a hint.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		err := check(cmd, given)
		_, takes, _ := strings.Cut(cmd.Use, " ")
		switch {
		case err == nil:
			return nil
		case cmd.HasSubCommands():
			return &usageError{fmt.Errorf("unknown command %s %s", cmd.CommandPath(), given[0]), cmd.CommandPath() + " --help lists the commands"}
		case takes == "":
			err = fmt.Errorf("%s takes no arguments, so not %q", cmd.CommandPath(), given[0])
		case len(given) == 0:
			err = fmt.Errorf("%s needs %s", cmd.CommandPath(), takes)
		case len(given) > 1:
			err = fmt.Errorf("%s takes %s alone, so not %q", cmd.CommandPath(), takes, given[1])
		}
		return &usageError{err, "usage: " + cmd.UseLine()}
	}
}
