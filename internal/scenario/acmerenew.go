package scenario

import (
	"context"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
)

// dueTime is how long a CA may take to say when it wants a renewal.
const dueTime = 10 * time.Second

// Due is when the certificate should be renewed, and whose word that is. It asks a CA
// that has something to say about it.
func (r *Registry) Due(ctx context.Context) (acme.DueDate, error) {
	crt, err := readFile(r.chainPath())
	if err != nil || r.Spec.TLS.Mode != spec.TLSLetsEncrypt {
		leaf, inspectErr := pki.Inspect(crt)
		return acme.DueDate{At: leaf.RenewAfter(), Source: acme.FromLifetime}, firstError(err, inspectErr)
	}
	ca, err := r.acmeCA()
	if err != nil {
		return acme.DueDate{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, dueTime)
	defer cancel()
	return acme.Due(ctx, acme.Options{Directory: directoryOf(r.Spec.TLS), CA: ca, Say: func(string) {}}, crt)
}

// PublicCA reports whether clients trust the registry as they trust the rest of the
// internet. A CA in certs is then that of a former mode.
func (r *Registry) PublicCA() bool {
	switch r.Spec.TLS.Mode {
	case spec.TLSLetsEncrypt, spec.TLSFiles:
		return r.Spec.TLS.CACert == ""
	}
	return false
}

// acmeCA is our copy of --acme-ca, nil without one.
func (r *Registry) acmeCA() ([]byte, error) {
	if r.Spec.TLS.ACMECA == "" {
		return nil, nil
	}
	return readFile(r.Dir.Join("secrets", "acme-ca.pem"))
}

// orderAgain is the step of a renewal.
func (r *Registry) orderAgain(ctx context.Context, p Place, force bool) ordered {
	o := ordered{spec: r.Spec, place: p, renewal: true, force: force}
	// A leaf that does not parse has no date, and is due for that.
	o.due, _ = r.Due(ctx)
	return o
}

// stagingOf is the directory of the same CA for trying things out; "" where it has none.
func stagingOf(t spec.TLS) string {
	if t.ACMEServer == "" || t.ACMEServer == acme.LetsEncrypt {
		return acme.LetsEncryptStaging
	}
	return t.ACMEStaging
}

// RehearseOrder orders from the CA's staging directory what a renewal would
// order, and keeps nothing. ok is false where the CA has no such directory, and
// nothing was asked; what says what would be ordered.
func (r *Registry) RehearseOrder(ctx context.Context) (what string, info pki.Info, ok bool, err error) {
	p := r.placeNow()
	o := ordered{spec: r.Spec, place: p, renewal: true}
	what = strings.Join(r.Spec.Hosts, ", ") + " from " + directoryOf(r.Spec.TLS)
	seen, err := r.site.host.Look(ctx, o.Reads())
	if err != nil {
		return what, info, false, err
	}
	crt, _ := currentFacts(p, seen)
	names := renewedLeaf{certificates: certificates{o.spec, p}}.names(crt.Data)
	what = strings.Join(names, ", ") + " from " + directoryOf(r.Spec.TLS)
	files := map[string][]byte{}
	for _, f := range o.files() {
		files[f.flag] = seen[f.copy].Data
	}
	options, err := o.options(seen, files, names)
	staging := stagingOf(r.Spec.TLS)
	if err != nil || staging == "" {
		return what, info, false, err
	}
	options.Directory, options.Replaces = staging, nil
	options.Challenge = o.answering(ctx, options.Challenge)
	if err := o.preflight(ctx, options); err != nil {
		return what, info, false, err
	}
	got, err := acme.Obtain(ctx, options)
	if err != nil {
		return what, info, false, err
	}
	info, err = pki.Inspect(got.CertPEM)
	return what, info, err == nil, err
}

// Revoke has the CA withdraw the certificate in use, which nobody trusts from then on.
func (r *Registry) Revoke(ctx context.Context) error {
	crt, err := readFile(r.chainPath())
	key, keyErr := readFile(r.Dir.Join("serve", "tls", "current", "key"))
	account, accountErr := readFile(r.Dir.Join("secrets", "acme"))
	ca, caErr := r.acmeCA()
	if err := firstError(err, keyErr, accountErr, caErr); err != nil {
		return host.Failed("read", r.Dir.Secrets(), err)
	}
	if crt == nil {
		return nil // nothing to withdraw
	}
	return acme.Revoke(ctx, acme.Options{
		Directory: directoryOf(r.Spec.TLS), CA: ca, Accounts: secret.New(string(account)), Say: func(string) {},
	}, crt, key)
}
