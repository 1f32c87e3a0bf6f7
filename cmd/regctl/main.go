// Command regctl provisions private container registries and makes a fleet of
// hosts trust them. See README.md.
package main

import (
	"os"

	"github.com/regctl/regctl/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(cli.Main(cli.System{
		Args:    os.Args[1:],
		In:      os.Stdin,
		Out:     os.Stdout,
		Err:     os.Stderr,
		Environ: os.Environ(),
		Version: version,
	}))
}
