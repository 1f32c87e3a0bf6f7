package scenario

import (
	"bytes"
	"fmt"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// broughtPair copies the operator's own certificate and key to where the
// registry reads them, after checking that they will serve.
type broughtPair struct {
	spec  spec.Spec
	place Place
}

func (b broughtPair) Name() string { return "own certificate" }

func (b broughtPair) Reads() []host.Ref {
	refs := append(currentPair(b.place), sourceRef(b.spec.TLS.Cert), sourceRef(b.spec.TLS.Key), b.placedCA())
	if b.spec.TLS.CACert != "" {
		refs = append(refs, sourceRef(b.spec.TLS.CACert))
	}
	return refs
}

func (b broughtPair) placedCA() host.Ref { return fileRef(b.place.Dir.Join("certs", "ca.crt")) }

func (b broughtPair) Plan(seen host.Facts) (step.Change, error) {
	cert, key := seen[sourceRef(b.spec.TLS.Cert)], seen[sourceRef(b.spec.TLS.Key)]
	if err := firstError(brought("--cert", b.spec.TLS.Cert, cert), brought("--key", b.spec.TLS.Key, key)); err != nil {
		return step.Change{}, err
	}
	if err := pki.CheckPair(cert.Data, key.Data, b.spec.Hosts, b.place.Now); err != nil {
		return step.Change{}, fmt.Errorf("%s: %w", b.spec.TLS.Cert, err)
	}
	var change step.Change
	oldCert, oldKey := currentFacts(b.place, seen)
	if !bytes.Equal(oldCert.Data, cert.Data) || !bytes.Equal(oldKey.Data, key.Data) {
		current := currentLink(b.place)
		change.Items = append(change.Items, step.Item{
			Target: current.Path, Action: action(seen[current]), Diff: fmt.Sprintf("(the pair %s and %s)", b.spec.TLS.Cert, b.spec.TLS.Key),
		})
		change.Ops = append(change.Ops, generation(b.place, seen, cert.Data, key.Data)...)
	}
	return b.planCA(seen, change)
}

// planCA keeps the CA that clients must trust beside the pair.
func (b broughtPair) planCA(seen host.Facts, change step.Change) (step.Change, error) {
	if b.spec.TLS.CACert == "" {
		return change, nil
	}
	ca, placed := seen[sourceRef(b.spec.TLS.CACert)], seen[b.placedCA()]
	if err := brought("--ca-cert", b.spec.TLS.CACert, ca); err != nil {
		return change, err
	}
	if _, err := pki.Inspect(ca.Data); err != nil {
		return change, fault.Usage("--ca-cert wants a CA certificate in PEM", "%s: %w", b.spec.TLS.CACert, err)
	}
	if !bytes.Equal(placed.Data, ca.Data) {
		change.Items = append(change.Items, step.Item{Target: b.placedCA().Path, Action: action(placed), Diff: "(from " + b.spec.TLS.CACert + ")"})
		change.Ops = append(change.Ops, writeOp(b.placedCA(), seen,
			host.Fact{Exists: true, Data: ca.Data, Mode: 0o644, UID: ourUID(), GID: ourGID()}))
	}
	return change, nil
}

// brought refuses a file of the operator's that cannot be read.
func brought(flag, path string, seen host.Fact) error {
	switch {
	case !seen.Exists:
		return fault.Usage("give the file with "+flag, "%s is not there", path)
	case seen.Foreign != "":
		return fault.Usage("give a file that "+flag+" can read", "%s: %s", path, seen.Foreign)
	}
	return nil
}

func sourceRef(path string) host.Ref { return host.Ref{Kind: host.Source, Path: path} }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
