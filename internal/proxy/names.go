package proxy

import (
	"os"
	"path/filepath"
	"strings"
)

// mark is in the first line of every site that is ours.
const mark = "# Made by regctl "

// isOurs goes by the name: what is not ours never begins like that, which Preflight
// makes sure of.
func isOurs(file string) bool {
	base := filepath.Base(file)
	return strings.HasPrefix(base, "regctl-") && strings.HasSuffix(base, ".conf")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
