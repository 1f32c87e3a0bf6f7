package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Version       string `json:"version"`
	Distribution  string `json:"distribution"`
	Go            string `json:"go"`
	Platform      string `json:"platform"`
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of regctl and of the registry inside it",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := versionResult{
				1, a.sys.Version, moduleVersion("github.com/distribution/distribution/v3"),
				runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH,
			}
			return a.ui.Result(v, func(w io.Writer) {
				fmt.Fprintf(w, "regctl %s (distribution %s, %s, %s)\n", v.Version, v.Distribution, v.Go, v.Platform)
			})
		},
	}
}

// moduleVersion reads a dependency's version from the executable itself.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
