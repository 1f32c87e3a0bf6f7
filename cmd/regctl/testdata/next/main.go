// Command next is a regctl of another version. Built mute, or where a file named mute
// lies beside config.yml, it does all but serve: it is what an upgrade to a broken build
// meets.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/regctl/regctl/internal/cli"
)

var mute string // by the linker: anything but nothing

func main() {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		if _, err := os.Stat(filepath.Join(filepath.Dir(os.Args[2]), "mute")); err == nil || mute != "" {
			fmt.Fprintln(os.Stderr, "error: this build does not serve")
			os.Exit(1)
		}
	}
	os.Exit(cli.Main(cli.System{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Version: "v0.4.0",
	}))
}
