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

// Secret asks for a text that is not shown while it is typed. Without a terminal, or
// when told not to ask, it is a usage fault with that hint.
func (u *UI) Secret(ctx context.Context, what, hint string) (secret.String, error) {
	in, ok := u.In.(*os.File)
	if u.NoInput || !ok || !isTerminal(in) {
		return secret.String{}, fault.Usage(hint, "%s is asked for, and there is no terminal to ask on", what)
	}
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
