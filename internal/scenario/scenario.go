// Package scenario turns a spec into the list of steps that makes it so. Each
// way of running a registry is a literal list, one file each; init, plan, apply
// and dry runs are that same list run differently.
package scenario

import (
	"time"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Place is what the steps must know of the machine and the runtime, found out
// before they are listed.
type Place struct {
	Dir      statedir.Dir
	UID, GID int // owner of serve/ and data/, as this machine counts
	Now      time.Time
	Flavour  distconfig.Flavour
	// ServeAt and DataAt are where the registry process sees DIR/serve and its
	// data, Addr where it listens.
	ServeAt, DataAt, Addr string
	// Net is "unix" where Addr is a socket's path.
	Net string
	// Runs names what the runtime runs: the container, process or unit.
	Runs host.Ref
	// ContainerUser is UID:GID inside a container.
	ContainerUser string
	// Front is this machine's proxy, nil without one; Withdrawn takes away what is left
	// of one that is wanted no more.
	Front     *front
	Withdrawn []step.Step
	// Runtime are the steps that run the registry, in order: image, container,
	// wait for an answer, or their likes for a process. Empty with --no-start.
	Runtime []step.Step
	// Last runs the first of several registries, once the proxy knows the others.
	Last []step.Step
	// RedisPassword is that of the cache which replicas share.
	RedisPassword string
	// KeyPassphrase opens the operator's own key, where that has one.
	KeyPassphrase secret.String
	// Say, when set, is told what an ACME server is asked.
	Say func(string)
	// Unforced says that no client trusts the CA in certs, if there is one: it may be
	// replaced. Succeeds says that another takes its place, KeepOld that clients trust
	// the old one until they have been told.
	Unforced, Succeeds, KeepOld bool
	// Learnt, when set, is told what came of an order.
	Learnt *learnt
	// Trusting are the hosts that trust the registry's own CA.
	Trusting []string
	// Users is what the file of users should become; nil leaves one that is there.
	Users []byte
	// StorageSecrets is what secrets/storage should become; nil leaves one that is there.
	StorageSecrets []byte
	// HTTPSecret is what secrets/http is to hold; empty has one made where none is there.
	HTTPSecret secret.String
	// SpecYAML is regctl.yaml as it should be; nil leaves the file alone.
	SpecYAML []byte
}

// Steps lists what makes the registry of s so at p.
func Steps(s spec.Spec, p Place) []step.Step {
	switch s.TLS.Mode {
	case spec.TLSNone:
		return plainHTTP(s, p)
	case spec.TLSFiles:
		return ownCertificate(s, p)
	case spec.TLSLetsEncrypt:
		return letsEncrypt(s, p)
	default:
		return selfSigned(s, p)
	}
}

// folders are the directories inside DIR, which exists already. Those of the
// registry belong to the user it runs as; the rest are ours alone.
func folders(s spec.Spec, p Place) []step.Step {
	list := []step.Step{
		step.MakeDir{Path: p.Dir.Secrets(), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		step.MakeDir{Path: p.Dir.Certs(), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		serveDir(p, p.Dir.Serve()),
		serveDir(p, p.Dir.Join("serve", "ctl")),
	}
	if s.Storage.Driver == spec.StorageFilesystem && s.Storage.Volume == "" {
		list = append(list, step.MakeDir{Path: p.Dir.Data(), Mode: 0o700, UID: p.UID, GID: p.GID})
	}
	return list
}

// serveDir is a folder that the registry reads. As root it stays ours and is open
// to the registry's group alone: a registry that was taken over cannot put links
// where root will write.
func serveDir(p Place, path string) step.MakeDir {
	if ourUID() == 0 && p.UID != 0 {
		return step.MakeDir{Path: path, Mode: 0o750, UID: 0, GID: p.GID}
	}
	return step.MakeDir{Path: path, Mode: 0o700, UID: p.UID, GID: p.GID}
}

// specFile writes regctl.yaml where the command made or changed it.
func specFile(p Place) []step.Step {
	if p.SpecYAML == nil {
		return nil
	}
	// config: may hold secrets of distribution's.
	return []step.Step{step.WriteFile{Path: p.Dir.Spec(), Data: p.SpecYAML, Mode: 0o600, UID: ourUID(), GID: ourGID(), Mask: distconfig.Mask}}
}

// configuration is what the registry reads: config.yml, what distribution has no
// key for, and the link by which people find the first.
func configuration(s spec.Spec, p Place) []step.Step {
	extra := []step.Step{serveExtra(s, p)}
	if asksLast(s, p) {
		extra = nil
	}
	return join(accounts(s, p), tokens(s, p), mirrored(s, p), sharedCache(s, p), []step.Step{storageSecrets{spec: s, place: p}, config{spec: s, place: p}}, extra, []step.Step{
		step.MakeLink{Path: p.Dir.Join("config.yml"), Target: "serve/config.yml"},
	})
}

// certificateLinks are the names under which people look for the pair.
func certificateLinks(p Place) []step.Step {
	return []step.Step{
		step.MakeLink{Path: p.Dir.Join("certs", "domain.crt"), Target: "../serve/tls/current/crt"},
		step.MakeLink{Path: p.Dir.Join("certs", "domain.key"), Target: "../serve/tls/current/key"},
	}
}

// join puts lists of steps one after the other.
func join(lists ...[]step.Step) []step.Step {
	var all []step.Step
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
