package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/step"
)

// passphraseTries is how often a passphrase may be mistyped.
const passphraseTries = 3

// keyLocked reports a key that wants a passphrase. wrong is set when one was given
// that does not open it.
type keyLocked struct {
	path  string
	wrong error
}

func (k *keyLocked) Error() string {
	if k.wrong != nil {
		return fmt.Sprintf("%s: %v", k.path, k.wrong)
	}
	return k.path + " is encrypted with a passphrase"
}

func (k *keyLocked) Usage() bool { return true }

// Hint says how to do without.
func (k *keyLocked) Hint() string {
	if k.wrong != nil {
		return fault.Hint(k.wrong)
	}
	return UnlockHint(k.path)
}

// UnlockHint is for those whom nobody can ask for a passphrase.
func UnlockHint(path string) string {
	return fmt.Sprintf("run it on a terminal, which is asked for the passphrase; or write the key without one: openssl pkey -in %s -out %s.plain", path, path)
}

// unlocking plans, and has Passphrase asked when the plan needs the operator's key
// opened. What was typed is kept for the next plan.
func (r *Registry) unlocking(ctx context.Context, plan func() (step.Planned, error)) (step.Planned, error) {
	for try := 0; ; try++ {
		planned, err := plan()
		var locked *keyLocked
		if !errors.As(err, &locked) || r.Passphrase == nil || try == passphraseTries {
			return planned, err
		}
		if r.site.place.KeyPassphrase, err = r.Passphrase(ctx, locked.path, locked.wrong != nil); err != nil {
			return planned, err
		}
	}
}
