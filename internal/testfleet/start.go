package testfleet

import (
	"fmt"
	"os"

	"github.com/regctl/regctl/internal/testenv"
)

// caller is what a fleet tells how it goes: a test, or a program.
type caller interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Start is New for a program that is not a test, which must call Stop. A program uses
// the methods that return an error: in the others it panics where a test would end.
func Start(specs ...Spec) (*Fleet, error) {
	for _, thing := range needs(specs) {
		if !testenv.Has(thing) {
			return nil, fmt.Errorf("this machine lacks %s", thing)
		}
	}
	f := &Fleet{t: program{}, size: len(specs)}
	if err := f.start(specs); err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

type program struct{}

func (program) Helper()                           {}
func (program) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (program) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (program) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (program) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
