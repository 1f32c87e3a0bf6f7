package scenario

import (
	"context"
	"strings"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// learnt is what came of an order. CAs limit how many accounts and certificates they
// give in a week, so it is kept when the rest fails, and the next try goes on from it.
type learnt struct {
	accounts secret.String
	pair     []byte // what lies in secrets/acme-ordered then; nil while nothing was signed
}

// unused is a certificate that was signed and not put to use yet, with its key.
func (o ordered) unused() host.Ref { return fileRef(o.place.Dir.Join("secrets", "acme-ordered")) }

// unusedPair is the file for it. What comes before the first PEM block says what for.
func unusedPair(t spec.TLS, chain, key []byte) []byte {
	return []byte(orderedFrom(t) + "\n" + strings.TrimSpace(string(chain)) + "\n" + string(key))
}

// orderedBefore is a certificate that an earlier try got and that is as good as a new one.
func (o ordered) orderedBefore(seen host.Facts, names []string) (got acme.Result, ok bool) {
	pems, ours := strings.CutPrefix(string(seen[o.unused()].Data), orderedFrom(o.spec.TLS)+"\n")
	at := strings.LastIndex(pems, "-----BEGIN ")
	if !ours || at < 0 {
		return got, false
	}
	chain, key := []byte(pems[:at]), []byte(pems[at:])
	leaf, err := pki.Inspect(chain)
	if err != nil || pki.CheckPair(chain, key, names, o.place.Now) != nil ||
		!sameNames(leaf.SANs(), names) || leaf.KeyType != o.spec.TLS.KeyType || pki.NeedsRenewal(chain, o.place.Now) {
		return got, false
	}
	return acme.Result{CertPEM: chain, FullchainPEM: chain, KeyPEM: key, Accounts: secret.New(string(seen[o.account()].Data))}, true
}

// learn notes what is to be kept should the rest fail.
func (o ordered) learn(got acme.Result) {
	if o.place.Learnt == nil {
		return
	}
	*o.place.Learnt = learnt{accounts: got.Accounts}
	if len(got.KeyPEM) > 0 {
		o.place.Learnt.pair = unusedPair(o.spec.TLS, got.FullchainPEM, got.KeyPEM)
	}
}

// keepOrder keeps it, after all that failed has been put back.
func (r *Registry) keepOrder(ctx context.Context) error {
	if r.learnt.accounts.Empty() {
		return nil
	}
	file := func(name string, data []byte) step.Step {
		return step.WriteFile{Path: r.Dir.Join("secrets", name), Data: data, Mode: 0o600, UID: ourUID(), GID: ourGID()}
	}
	list := []step.Step{
		step.MakeDir{Path: r.Dir.Secrets(), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		file("acme", []byte(r.learnt.accounts.Reveal())),
	}
	what := "the account with the CA"
	if r.learnt.pair != nil {
		list = append(list, file("acme-ordered", r.learnt.pair))
		what += " and the certificate that it signed"
	}
	planned, err := step.Plan(ctx, r.site.host, list)
	if err != nil || planned.Empty() {
		return err
	}
	if r.Progress != nil {
		r.Progress("keeping " + what + " for the next try, in " + r.Dir.Secrets())
	}
	_, err = step.Run(ctx, r.site.host, planned, &statedir.Journal{Dir: r.Dir, State: &r.state})
	return err
}
