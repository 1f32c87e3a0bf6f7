package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/regctl/regctl/internal/testfleet"
)

// Where everybody places the CA.
const (
	caDir  = "/etc/docker/certs.d/registry.test:5000"
	caFile = caDir + "/ca.crt"
)

// bench is one run, with a folder of its own.
type bench struct {
	options
	dir  string
	self string // this executable
	ca   string // its content

	fleet *testfleet.Fleet
}

// setUp makes a registry that never starts: regctl takes the CA from it, and the others
// are given the same file.
func (b *bench) setUp() error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.regctl, err = filepath.Abs(b.regctl); err != nil {
		return err
	}
	out, err := exec.Command(b.regctl, "init", "--dir", b.registry(), "--host", "registry.test", "--port", "5000",
		"--runtime", "process", "--no-start").CombinedOutput()
	if err != nil {
		return fmt.Errorf("regctl init: %w\n%s", err, out)
	}
	data, err := os.ReadFile(b.caPath())
	b.ca = string(data)
	return err
}

// registry is its folder.
func (b *bench) registry() string { return filepath.Join(b.dir, "registry") }
func (b *bench) caPath() string   { return filepath.Join(b.registry(), "certs", "ca.crt") }

// file is a file of this run.
func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, content string) error {
	return os.WriteFile(b.file(name), []byte(content), 0o600)
}

func (b *bench) key() string        { return b.fleet.Key() }
func (b *bench) knownHosts() string { return b.fleet.KnownHosts() }
func (b *bench) sshConfig() string  { return b.fleet.SSHConfig() }
