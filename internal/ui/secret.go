package ui

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// CanAsk reports whether there is somebody to ask.
func (u *UI) CanAsk() bool {
	in, ok := u.In.(*os.File)
	return !u.NoInput && ok && isTerminal(in)
}

// NewSecret asks for a text twice, and again where the two differ.
func (u *UI) NewSecret(ctx context.Context, what, hint string) (secret.String, error) {
	for range 3 {
		first, err := u.Secret(ctx, what, hint)
		if err != nil {
			return secret.String{}, err
		}
		second, err := u.Secret(ctx, what+", again", hint)
		if err != nil || first == second {
			return first, err
		}
		u.Say("those were two different ones")
	}
	return secret.String{}, fault.Usage(hint, "%s: typed differently three times", what)
}

// Secret asks for a text that is not shown while it is typed. Without a terminal, or
// when told not to ask, it is a usage fault with that hint.
func (u *UI) Secret(ctx context.Context, what, hint string) (secret.String, error) {
	if !u.CanAsk() {
		return secret.String{}, fault.Usage(hint, "%s is asked for, and there is no terminal to ask on", what)
	}
	in := u.In.(*os.File)
	u.progress.suspend()
	defer u.progress.resume()
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return secret.String{}, fmt.Errorf("ask for %s: %w", what, err)
	}
	fmt.Fprintf(u.Err, "%s: ", what)
	var text []byte
	read := make(chan struct{})
	go func() { // a read cannot be interrupted; it ends with the program
		text, err = term.ReadPassword(int(in.Fd()))
		close(read)
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(int(in.Fd()), before) // the terminal shows again what is typed
		fmt.Fprintln(u.Err)
		return secret.String{}, ctx.Err()
	case <-read:
	}
	fmt.Fprintln(u.Err)
	if err == nil && len(text) == 0 {
		err = errors.New("nothing was typed")
	}
	if err != nil {
		return secret.String{}, fault.Usage(hint, "%s: %w", what, err)
	}
	return secret.New(string(text)), nil
}
