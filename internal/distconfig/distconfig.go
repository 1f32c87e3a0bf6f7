// Package distconfig renders, checks and imports config.yml, the configuration
// of the distribution registry. What keys there are it learns from
// distribution's own types (configuration.Configuration, v3.1.2) and, for the
// maps those types leave open, from tables taken from the code that reads them.
// It does no I/O and never looks at REGISTRY_* variables.
package distconfig

import "github.com/regctl/regctl/internal/parameters"

// Flavour is a registry program; their configuration schemas differ.
type Flavour string

// The programs that config.yml is rendered for. The zero value is Embedded.
const (
	Embedded Flavour = "embedded" // distribution 3 inside regctl
	Stock3   Flavour = "stock3"   // the image registry:3
	Stock2   Flavour = "stock2"   // the image registry:2, that is distribution 2.8
)

// Env is what a rendering needs beside the spec. Paths are those that the
// registry's process sees, inside its container if it has one.
type Env struct {
	Serve      string // holds tls/current/crt and key
	Data       string // the images, for filesystem storage
	Net        string // "unix", or "" for TCP
	Addr       string // what to listen on: HOST:PORT or :PORT, or the path of a unix socket
	HTTPSecret string // signs upload state; "" renders none
	// MirrorPassword opens a mirror's upstream.
	MirrorPassword string
	// RedisPassword is that of the cache which replicas share; "" renders none.
	RedisPassword string
	Flavour       Flavour
	// Secrets are the storage driver's secret parameters, where it has any.
	Secrets []parameters.Parameter
}
