package engine

import (
	"context"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/regctl/regctl/internal/host"
)

// KindLoop is the detached process that renews a registry's certificate. Its Ref.Path
// is the registry's directory; a Fact exists while it runs, and its Data is a Process.
const KindLoop host.Kind = "loop"

// LoopPIDFile is where the loop of the registry in dir notes who it is.
func LoopPIDFile(dir string) string { return filepath.Join(dir, "renew.pid") }

// LoopOptions is the command line of `regctl cert renew --loop`.
type LoopOptions struct {
	Every   time.Duration // between attempts; each comes later by a random tenth at most
	PIDFile string        // as in ServeOptions
	// Detached is as in ServeOptions; LogFile then takes standard error.
	Detached bool
	LogFile  string
}

// Share of LoopOptions.Every within which the first attempt comes, and after which a
// failed one is tried again.
const loopShare = 12

// RunLoop calls attempt over and over until ctx is done. It ends by itself when
// another process has its pid file, or nobody: the registry is gone then.
func RunLoop(ctx context.Context, o LoopOptions, attempt func(context.Context) error) error {
	if o.PIDFile != "" {
		release, err := claimPIDFile(o.PIDFile)
		if err != nil {
			return err
		}
		defer release()
	}
	if o.Detached {
		// A parent that was killed no longer reads our errors; that must not end us.
		signal.Ignore(syscall.SIGPIPE)
		if err := detach(o.LogFile); err != nil {
			return err
		}
	}
	wait := jitter(o.Every / loopShare)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if o.PIDFile != "" && !o.ours() {
			return nil
		}
		wait = o.Every + jitter(o.Every/10)
		if attempt(ctx) != nil {
			wait = o.Every/loopShare + jitter(o.Every/loopShare)
		}
	}
}

func (o LoopOptions) ours() bool {
	r, ok, err := findProcess(o.PIDFile)
	return err == nil && ok && r.PID == os.Getpid()
}

func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}
