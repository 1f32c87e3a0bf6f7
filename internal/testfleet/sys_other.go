//go:build !linux

package testfleet

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
)

// Nowhere else are there namespaces: New skips, for want of ip or nsenter.
const namespacesOfHub, namespacesOfHost = 0, 0

func separate(*exec.Cmd, uintptr) {}

func lockDir(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func owner(fs.FileInfo) string { return "?" }
