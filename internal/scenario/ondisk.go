package scenario

import (
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
)

// onDisk are the certificates in use, as they lie on disk.
type onDisk struct {
	chainPEM []byte
	chain    []pki.Info // the leaf first; empty where it cannot be read
	ca       *pki.Info  // what clients must trust; nil where that is none of ours
}

// readCertificates reads the pair in use and the CA, and holds them against each
// other and the clock. What could be read comes with the error.
func (r *Registry) readCertificates(now time.Time) (d onDisk, err error) {
	chainErr := r.readChain(&d)
	ca, caErr := r.readCA(&d, now)
	if err := firstError(chainErr, caErr); err != nil {
		return d, err
	}
	key, err := r.needed("serve", "tls", "current", "key")
	if err != nil {
		return d, err
	}
	return d, r.checkLeaf(d, key, ca, now)
}

// chainPath is where the certificate in use lies.
func (r *Registry) chainPath() string { return r.Dir.Join("serve", "tls", "current", "crt") }

func (r *Registry) readChain(d *onDisk) (err error) {
	if d.chainPEM, err = r.needed("serve", "tls", "current", "crt"); err != nil {
		return err
	}
	if d.chain, err = pki.InspectAll(d.chainPEM); err == nil {
		return nil
	}
	key, _ := readFile(r.Dir.Join("serve", "tls", "current", "key"))
	if swapped := pki.CheckPair(d.chainPEM, key, nil, time.Time{}); swapped != nil {
		err = swapped // it knows more
	}
	return fault.Fail(r.mend(), "%s: %w", r.chainPath(), err)
}

// readCA reads what clients trust; of our own CA the key too.
func (r *Registry) readCA(d *onDisk, now time.Time) ([]byte, error) {
	path := r.Dir.Join("certs", "ca.crt")
	if r.PublicCA() {
		return nil, nil
	}
	if r.Spec.TLS.Mode != spec.TLSSelfSigned {
		ca, err := readFile(path)
		if err != nil {
			return nil, host.Failed("read", path, err)
		}
		if info, err := pki.Inspect(ca); err == nil {
			d.ca = &info
		} else if ca != nil {
			return nil, fault.Fail(r.mend(), "%s: %w", path, err)
		}
		return ca, nil
	}
	ca, err := r.needed("certs", "ca.crt")
	if err != nil {
		return nil, err
	}
	if info, err := pki.Inspect(ca); err == nil {
		d.ca = &info
	}
	key, err := r.needed("certs", "ca.key")
	if err != nil {
		return nil, err
	}
	return ca, caFault(r.Dir.Certs(), pki.CheckCA(ca, key, now))
}

// caFault says of which CA something is wrong.
func caFault(folder string, err error) error {
	if err == nil {
		return nil
	}
	hint := fault.Hint(err)
	if fault.IsUsage(err) || hint == "" {
		hint = "restore ca.crt and ca.key from the same backup"
	}
	if !strings.Contains(hint, "clock") {
		hint += "; without one, regctl cert rotate-ca replaces the CA, on every client too"
	}
	return fault.Fail(hint, "the CA in %s: %w", folder, err)
}

// needed reads a file that a registry of this mode must have.
func (r *Registry) needed(elem ...string) ([]byte, error) {
	path := r.Dir.Join(elem...)
	data, err := readFile(path)
	switch {
	case err != nil:
		return nil, host.Failed("read", path, err)
	case data != nil:
		return data, nil
	case elem[0] == "certs":
		return nil, fault.Fail("restore it from a backup; without one a new CA is needed, which every client must then be told to trust", "%s is missing", path)
	}
	return nil, fault.Fail("regctl apply puts it back", "%s is missing", path)
}

// checkLeaf says what is wrong with the pair in use.
func (r *Registry) checkLeaf(d onDisk, key, ca []byte, now time.Time) error {
	leaf, path := d.chain[0], r.chainPath()
	const clock = "set this machine's clock, if that is wrong; else "
	switch {
	case now.Before(leaf.NotBefore):
		return fault.Fail(clock+r.mend(), "%s is not valid before %s, and it is %s here", path, pki.Stamp(leaf.NotBefore), pki.Stamp(now))
	case now.After(leaf.NotAfter):
		return fault.Fail(clock+r.mend(), "%s expired on %s", path, pki.Stamp(leaf.NotAfter))
	}
	if err := pki.CheckPair(d.chainPEM, key, leaf.SANs(), now); err != nil {
		return fault.Fail(r.mend(), "%s: %w", path, err)
	}
	if r.Spec.TLS.Mode == spec.TLSSelfSigned && !pki.IssuedBy(d.chainPEM, ca) {
		return fault.Fail(r.mend(), "%s was not issued by the CA in %s, which is what clients trust", path, r.Dir.Certs())
	}
	return nil
}

// mend is what puts another pair in place of one that is broken.
func (r *Registry) mend() string {
	if r.Spec.TLS.Mode == spec.TLSFiles {
		return "regctl cert renew installs " + r.Spec.TLS.Cert + " and " + r.Spec.TLS.Key + " anew"
	}
	return "regctl cert renew issues a new pair"
}
