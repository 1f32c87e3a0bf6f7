package scenario

import (
	"bytes"
	"fmt"
	"strings"

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
	// renewal leaves the CA alone: another one is for apply, and for every client.
	renewal bool
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
	pair, err := b.pair(seen)
	if err != nil {
		return step.Change{}, err
	}
	var change step.Change
	oldCert, oldKey := currentFacts(b.place, seen)
	if !bytes.Equal(oldCert.Data, pair.Chain) || !bytes.Equal(oldKey.Data, pair.Key) {
		about := append([]string{fmt.Sprintf("the pair %s and %s", b.spec.TLS.Cert, b.spec.TLS.Key)}, pair.Notes...)
		current := currentLink(b.place)
		change.Items = append(change.Items, step.Item{
			Target: current.Path, Action: action(seen[current]), Diff: "(" + strings.Join(about, "; ") + ")",
		})
		change.Ops = append(change.Ops, generation(b.place, seen, pair.Chain, pair.Key)...)
	}
	return b.planCA(seen, pair, change)
}

// pair is what the registry is to serve of the operator's files.
func (b broughtPair) pair(seen host.Facts) (pki.Pair, error) {
	cert, key := seen[sourceRef(b.spec.TLS.Cert)], seen[sourceRef(b.spec.TLS.Key)]
	if err := firstError(brought("--cert", b.spec.TLS.Cert, cert), brought("--key", b.spec.TLS.Key, key), b.private(key)); err != nil {
		return pki.Pair{}, err
	}
	keyPEM, err := b.plainKey(cert, key, seen)
	if err != nil {
		return pki.Pair{}, err
	}
	pair, err := pki.Bring(cert.Data, keyPEM, b.spec.Hosts, b.place.Now)
	if err != nil {
		return pair, fmt.Errorf("%s: %w", b.spec.TLS.Cert, err)
	}
	return pair, nil
}

// private refuses a key that others on this machine can read.
func (b broughtPair) private(key host.Fact) error {
	if !openToOthers(key.Mode) {
		return nil
	}
	return fault.Usage("chmod 600 "+b.spec.TLS.Key, "%s has mode %04o: a private key is nobody else's to read", b.spec.TLS.Key, key.Mode)
}

// plainKey opens a key that has a passphrase. The one in use is that key already if
// it belongs to the certificate.
func (b broughtPair) plainKey(cert, key host.Fact, seen host.Facts) ([]byte, error) {
	if !pki.Encrypted(key.Data) {
		return key.Data, nil
	}
	if _, inUse := currentFacts(b.place, seen); inUse.Exists && pki.Fits(cert.Data, inUse.Data) {
		return inUse.Data, nil
	}
	if b.place.KeyPassphrase.Empty() {
		return nil, &keyLocked{path: b.spec.TLS.Key}
	}
	plain, err := pki.Decrypt(key.Data, b.place.KeyPassphrase)
	if err != nil {
		return nil, &keyLocked{b.spec.TLS.Key, err}
	}
	return plain, nil
}

// planCA keeps the CA that clients must trust beside the pair.
func (b broughtPair) planCA(seen host.Facts, pair pki.Pair, change step.Change) (step.Change, error) {
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
	if err := pki.CheckAnchor(pair.Chain, ca.Data, b.place.Now); err != nil {
		return change, fmt.Errorf("%s: %w", b.spec.TLS.CACert, err)
	}
	if b.renewal && !bytes.Equal(placed.Data, ca.Data) {
		return change, fault.Fail("regctl apply places it, once the hosts that trust the registry have it too",
			"%s is another CA than %s, which clients trust", b.spec.TLS.CACert, b.placedCA().Path)
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
		return fault.Usage("put it there, or name another: "+flag+" of init, or that key in regctl.yaml", "%s is not there", path)
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
