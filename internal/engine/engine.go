// Package engine runs a registry: in a container of the machine's Docker Engine,
// as a systemd unit, or as a process of its own. Each is a host.Handler with the
// steps that use it.
package engine

import "github.com/regctl/regctl/internal/host"

// Kinds of thing that a Docker Engine adds to a host. Their Ref.Path is a name or
// an image reference, except for KindReady, whose path is a URL.
const (
	KindImage     host.Kind = "image"     // Fact.Data is an imageFact
	KindContainer host.Kind = "container" // Fact.Data is a containerFact
	KindVolume    host.Kind = "volume"    // Fact.Data is a Volume
	KindNetwork   host.Kind = "network"   // Fact.Data is a Network
	KindReady     host.Kind = "ready"     // a registry that answers; it can be waited for and no more
)

// Labels of what regctl makes in a Docker Engine.
const (
	LabelRegistry = "io.regctl.registry" // the registry's name
	LabelDir      = "io.regctl.dir"      // its directory
	LabelSpec     = "io.regctl.spec"     // the Container, Volume or Network as canonical JSON
)
