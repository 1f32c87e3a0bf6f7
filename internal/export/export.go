// Package export writes a registry down for engines that regctl does not drive itself:
// Compose, podman's Quadlet and Kubernetes. It renders and runs nothing.
package export

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// Workload is a registry as any engine is to run it: with a read-only root file system,
// no capabilities and an unprivileged user.
type Workload struct {
	Name     string
	Image    string
	Args     []string
	Health   []string // a command in the container that succeeds while the registry answers; nil: none
	UID, GID int
	Bind     string // the address to publish on; "" is all
	Port     int    // of this machine, or of the service
	Inside   int    // where the registry listens
	Mounts   []Mount
	Env      []string // NAME=VALUE
	AddHosts []string // NAME:IP
	// Files are what the registry mounts read-only, for engines that keep such things
	// themselves: by path below the first mount.
	Files map[string][]byte
}

// Mount is a folder of this machine, or a named volume, in the container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
	Volume         bool // Source is a name
}

// stopSeconds is a little more than the registry gives requests under way to finish.
const stopSeconds = 10

// document is YAML in block style.
func document(parts ...any) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	for _, part := range parts {
		if err := encoder.Encode(part); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), encoder.Close()
}
