package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/ui"
)

// renewLoop renews whenever that is due, until it is told to end. Each attempt is one
// line.
func (a *app) renewLoop(ctx context.Context, o engine.LoopOptions) error {
	if o.Every < time.Second {
		return fault.Usage("for example --every 12h", "--every cannot be %s", o.Every)
	}
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	o.LogFile = engine.RenewLog(string(r.Dir))
	return engine.RunLoop(ctx, o, func(ctx context.Context) error {
		said, err := a.attemptQuietly(ctx)
		if err == nil || ctx.Err() == nil {
			fmt.Fprintf(a.sys.Err, "%s %s\n", time.Now().UTC().Format(time.RFC3339), said)
		}
		return err
	})
}

// attemptQuietly renews if that is due and says in one line how it went.
func (a *app) attemptQuietly(ctx context.Context) (said string, err error) {
	quiet := *a
	quiet.ui = &ui.UI{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Quiet: true, NoInput: true}
	var r *scenario.Registry
	var changed bool
	err = settled(func() (err error) {
		if r, err = quiet.findExisting(); err == nil {
			changed, err = quiet.attempt(ctx, r, false)
		}
		return err
	})
	if err != nil {
		said = "error: " + err.Error()
		if hint := fault.Hint(err); hint != "" {
			said += "; hint: " + hint
		}
		return strings.Join(strings.Fields(said), " "), err
	}
	leaf, err := r.Leaf()
	switch {
	case err != nil:
		return "error: " + err.Error(), err
	case changed:
		return "renewed: serial " + leaf.Serial + ", until " + moment(leaf.NotAfter), nil
	}
	return "nothing to do: due on " + moment(leaf.RenewAfter()), nil
}
