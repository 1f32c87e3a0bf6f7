package ui

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Secret has a secret typed that is not shown. Without a terminal, or when told not
// to ask, the fault is what stands in the way, with the hint how to do without.
func (u *UI) Secret(ctx context.Context, prompt, hint, obstacle string) (secret.String, error) {
	in, ok := u.In.(*os.File)
	if u.NoInput || !ok || !term.IsTerminal(int(in.Fd())) {
		return secret.String{}, fault.Usage(hint, "%s", obstacle)
	}
	fmt.Fprint(u.Err, prompt)
	defer fmt.Fprintln(u.Err)
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return secret.String{}, err
	}
	var typed []byte
	read := make(chan struct{})
	go func() { // a read cannot be interrupted; it ends with the program
		typed, err = term.ReadPassword(fd)
		close(read)
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, before) // else what is typed next would not be seen
		return secret.String{}, ctx.Err()
	case <-read:
	}
	if err != nil {
		return secret.String{}, fault.Usage(hint, "%s, and none was typed: %w", obstacle, err)
	}
	return secret.New(string(typed)), nil
}
