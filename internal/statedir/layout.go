// Package statedir is a registry's directory: its layout, its lock, the record of
// what was applied, and the journal that makes a crash recoverable.
package statedir

import (
	"os"
	"path/filepath"
)

// Dir is the absolute path of a registry's directory (DIR in the documentation).
type Dir string

// Join returns a path inside the directory.
func (d Dir) Join(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Spec is what the operator wants; edited by hand or by commands.
func (d Dir) Spec() string { return d.Join("regctl.yaml") }

// State is what was applied; never edited by hand.
func (d Dir) State() string { return d.Join("state.json") }

// Journal is the batch under way, gone when it is done.
func (d Dir) Journal() string { return d.Join("journal") }

// LockFile is held by the command at work.
func (d Dir) LockFile() string { return d.Join("lock") }

// Serve is all that the registry mounts beside Data, read-only.
func (d Dir) Serve() string { return d.Join("serve") }

// ServeConfig is distribution's configuration, as the registry sees it.
func (d Dir) ServeConfig() string { return d.Join("serve", "config.yml") }

// ServeExtra is what distribution has no key for.
func (d Dir) ServeExtra() string { return d.Join("serve", "regctl-serve.yaml") }

// Htpasswd are the users, as the registry sees them.
func (d Dir) Htpasswd() string { return d.Join("serve", "htpasswd") }

// TokenKey signs the tokens that the registry gives out itself.
func (d Dir) TokenKey() string { return d.Join("serve", "token.key") }

// TokenRootCA and TokenJWKS say whose tokens are good, where another server gives
// them out.
func (d Dir) TokenRootCA() string { return d.Join("serve", "token-ca.pem") }

// TokenJWKS is a JSON Web Key Set.
func (d Dir) TokenJWKS() string { return d.Join("serve", "token-jwks.json") }

// Canary asks the registry for the image that clients are verified with. It is
// there for the length of a run.
func (d Dir) Canary() string { return d.Join("serve", "ctl", "canary") }

// ACMEControl is the folder by which the registry is given what a CA asks it for.
func (d Dir) ACMEControl() string { return d.Join("serve", "ctl", "acme") }

// Readonly has the registry refuse writes while it is there.
func (d Dir) Readonly() string { return d.Join("serve", "ctl", "readonly") }

// ServeTLS holds a folder per generation, and the symlink current.
func (d Dir) ServeTLS() string { return d.Join("serve", "tls") }

// Certs holds ca.crt, ca.key and links into ServeTLS.
func (d Dir) Certs() string { return d.Join("certs") }

// Secrets holds generated and given secrets, each 0600.
func (d Dir) Secrets() string { return d.Join("secrets") }

// Clients holds a file a host that trusts the registry.
func (d Dir) Clients() string { return d.Join("clients") }

// Nodes holds a file a machine of the swarm that the registry's image was brought to.
func (d Dir) Nodes() string { return d.Join("nodes") }

// Data is the images, for filesystem storage.
func (d Dir) Data() string { return d.Join("data") }

// Logs is the process runtime's own log.
func (d Dir) Logs() string { return d.Join("logs") }

// Bin holds the program's own copy, for the process runtime.
func (d Dir) Bin() string { return d.Join("bin") }

// SameFolder reports whether two paths name one directory, which they also do by
// way of a symlink.
func SameFolder(a, b string) bool {
	if a == b {
		return true
	}
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
